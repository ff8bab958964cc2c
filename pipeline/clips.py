"""Clips: their frames one by one, and which pictures of a person in them are worth keeping."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadItem

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]

# Of a person that is cut out: around the box, and the longest side that is kept.
MARGIN, SHAPE, LONGEST_PX = 0.15, 0.6875, 1024
# Sharpness and change are measured at these heights, so that near and far people compare.
_SHARP_PX, _CHANGE_PX = 256, 48

# Formats of files alone: playlists among the others would open what they name.
_FORMATS = "mov,mp4,avi,matroska,webm,mpeg,mpegts,asf,flv,gif,mpegvideo,h264,hevc,m4v"


@dataclass
class Clip:
    """A clip in memory; `note` says after its frames were read what was wrong with them, if anything."""

    data: bytes
    max_pixels: int
    note: str = ""

    def frames(self, every: int) -> Iterator[tuple[int, Picture]]:
        """(number from 0, upright RGB (H, W, 3)) of every n-th frame; BadItem when there is none.

        Frames are counted, whatever their time stamps. A clip that is cut off or damaged ends where it does.
        """
        if not self.data:
            raise BadItem("empty file (0 bytes)")
        count = 0
        try:
            with av.open(io.BytesIO(self.data), mode="r", options={"format_whitelist": _FORMATS}) as opened:
                stream = self._stream(opened)
                for number, frame in enumerate(opened.decode(stream)):
                    count = number + 1
                    if number % every == 0:
                        yield number, _upright(frame)
                if stream.frames > count:
                    self.note = f"cut off: {count} of its {stream.frames} frames are there"
        except (av.error.FFmpegError, ValueError) as error:
            if not count:
                raise BadItem(f"no clip that can be read ({_told(error)}): copy it again, or save it as mp4") from error
            self.note = f"damaged after {count} frames ({_told(error)})"
        if not count:
            raise BadItem("no frame can be read: copy the clip again, or save it as mp4")

    def _stream(self, opened: "av.container.InputContainer") -> VideoStream:
        if not opened.streams.video:
            raise BadItem("no moving pictures in it: only sound, or cut off before them")
        stream = opened.streams.video[0]
        if stream.width * stream.height > self.max_pixels:
            raise BadItem(f"{stream.width}x{stream.height} is more than max_pixels ({self.max_pixels})")
        # The stage works on several clips at once instead.
        stream.codec_context.thread_count = 1
        return stream


def _upright(frame: "av.VideoFrame") -> Picture:
    """A frame turned as its file says."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))


def _told(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def cut_out(picture: Picture, box: Box) -> Picture:
    """The person in `box` (left, top, right, bottom) with 15 % on each side, at least 0.6875 as wide as high.

    What leaves the picture is not there; the longer side has at most 1024 px.
    """
    left, top, right, bottom = box
    height = (bottom - top) * (1 + 2 * MARGIN)
    width = max((right - left) * (1 + 2 * MARGIN), height * SHAPE)
    x, y = (left + right) / 2, (top + bottom) / 2
    rows, columns = picture.shape[:2]
    y0, y1 = max(round(y - height / 2), 0), min(round(y + height / 2), rows)
    x0, x1 = max(round(x - width / 2), 0), min(round(x + width / 2), columns)
    part = np.ascontiguousarray(picture[y0:y1, x0:x1])
    zoom = LONGEST_PX / max(*part.shape[:2], 1)
    return part if zoom >= 1 else _resize(Image.fromarray(part), zoom)


def sharpness(picture: Picture) -> float:
    """The variance of the Laplacian of the grey picture, scaled down to 256 px; blur makes it small."""
    grey = _grey(picture, _SHARP_PX)
    inner = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(edges.var()) if edges.size else 0.0


def glance(picture: Picture) -> NDArray[np.float32]:
    """(48, 33) the grey picture, small, 0..1: what two nearly identical pictures share."""
    image = Image.fromarray(picture).convert("L").resize((round(_CHANGE_PX * SHAPE), _CHANGE_PX), Image.Resampling.BOX)
    return np.asarray(image, np.float32) / np.float32(255)


@dataclass(frozen=True)
class Sight:
    """One person in one frame."""

    frame: int
    box: Box
    sharpness: float
    glance: NDArray[np.float32]


def steady(sights: Sequence[Sight]) -> list[Sight]:
    """The sights of one person, in time, with boxes no lower than usual around them: legs may be missed in a frame."""
    heights = np.array([sight.box[3] - sight.box[1] for sight in sights])
    steadied = []
    for index, sight in enumerate(sights):
        left, top, right, bottom = sight.box
        usual = float(np.median(heights[max(index - 3, 0) : index + 4]))
        steadied.append(replace(sight, box=(left, top, right, max(bottom, top + usual))))
    return steadied


def choose(
    sights: Sequence[Sight], *, min_sharpness: float, min_change: float
) -> tuple[list[Sight], list[tuple[Sight, str]]]:
    """(kept, left out with the reason) of one person's sights, in time.

    Left out: blurred ones, sharper by less than the share `min_sharpness` of their median; and those that differ from
    the one kept before by less than `min_change`, the mean difference of their glances, 0..1.
    """
    usual = float(np.median([sight.sharpness for sight in sights])) if sights else 0.0
    kept: list[Sight] = []
    left_out = []
    for sight in sights:
        if sight.sharpness < min_sharpness * usual:
            share = sight.sharpness / usual
            left_out.append((sight, f"blurred: {share:.2f} of the usual sharpness (video.min_sharpness)"))
        elif kept and (change := float(np.abs(sight.glance - kept[-1].glance).mean())) < min_change:
            left_out.append((sight, f"nearly frame {kept[-1].frame} again: {change:.3f} of change (video.min_change)"))
        else:
            kept.append(sight)
    return kept, left_out


def _grey(picture: Picture, height_px: int) -> NDArray[np.float32]:
    image = Image.fromarray(picture).convert("L")
    zoom = height_px / image.height
    return np.asarray(image if zoom >= 1 else Image.fromarray(_resize(image, zoom)), np.float32)


def _resize(image: Image.Image, zoom: float) -> Picture:
    size = (max(1, round(image.width * zoom)), max(1, round(image.height * zoom)))
    return np.asarray(image.resize(size, Image.Resampling.BOX))
