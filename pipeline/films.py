"""Moving pictures: frames of clips, GIFs and folders in, GIF and MP4 out. PyAV reads and writes; Pillow writes GIFs."""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import BadItem, UserError
from pipeline.pictures import Bytes
from pipeline.sources.pictures import check_picture

# Endings of files that hold many frames, and of single pictures.
CLIPS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".gif")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
WRITTEN = (".gif", ".mp4")

# No macroblock trees: x264's vector code for them reads beyond small pictures, and one film in thirty has other bytes.
H264 = {"crf": "18", "threads": "1", "x264-params": "mbtree=0"}


def read_frames(path: Path, *, every: int = 1, max_pixels: int, min_size_px: int = 1) -> dict[str, Bytes]:
    """Every n-th frame, (H, W, 3) RGB by name, of a clip or of a folder of pictures in the order of their names.

    UserError when there is no such thing, or it holds no picture.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        frames = {file.name: _picture(file, max_pixels, min_size_px) for file in files[::every]}
    elif not path.is_file():
        raise UserError(f"{path}: there is no such file or folder; give a clip or a folder of pictures")
    elif path.suffix.lower() not in CLIPS:
        raise UserError(f"{path}: neither a folder nor a clip ({', '.join(CLIPS)})")
    else:
        frames = {f"frame {number}": frame for number, frame in _decoded(path, max_pixels) if number % every == 0}
    if not frames:
        raise UserError(f"{path}: no picture in it ({', '.join(PICTURES)}); give a clip or a folder of pictures")
    return frames


def _picture(file: Path, max_pixels: int, min_size_px: int) -> Bytes:
    try:
        return check_picture(file.read_bytes(), min_size_px=min_size_px, max_pixels=max_pixels)
    except (BadItem, OSError) as bad:
        raise UserError(f"{file}: {bad}; take it out of the folder") from bad


def _decoded(path: Path, max_pixels: int) -> Iterator[tuple[int, Bytes]]:
    import av

    try:
        with av.open(str(path)) as opened:
            if not opened.streams.video:
                raise UserError(f"{path}: no pictures in this clip; give another")
            stream = opened.streams.video[0]
            if stream.width * stream.height > max_pixels:
                raise UserError(
                    f"{path}: {stream.width}x{stream.height} is more than {max_pixels} pixels; scale it down"
                )
            for number, frame in enumerate(opened.decode(stream)):
                yield (
                    number,
                    np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))),
                )
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(f"{path}: no clip that can be read ({error}); save it again as mp4 or gif") from error


def write_film(path: Path, frames: Sequence[Bytes], *, fps: float) -> None:
    """Write frames (H, W, 3) of one size as an endless GIF or as an MP4 (H.264), at once or not at all."""
    if path.suffix.lower() not in WRITTEN:
        raise UserError(f"{path}: give a name that ends in {' or '.join(WRITTEN)}")
    buffer = io.BytesIO()
    if path.suffix.lower() == ".gif":
        images = [Image.fromarray(frame) for frame in frames]
        duration_ms = round(1000 / fps)
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0, disposal=2)
    else:
        _encode_mp4(buffer, frames, fps)
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(buffer.getvalue())
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error}); give another name") from error


def _encode_mp4(buffer: io.BytesIO, frames: Sequence[Bytes], fps: float) -> None:
    import av

    height, width = (side - side % 2 for side in frames[0].shape[:2])  # H.264's colours are of two by two pixels
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=round(fps), options=H264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            film.mux(stream.encode(picture))
        film.mux(stream.encode())
