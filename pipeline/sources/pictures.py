"""Pictures as they come: found in a folder or archive, checked, and brought to upright RGB."""

import functools
import io
import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.archives import Member, layout, place_of
from pipeline.errors import BadItem, UserError

# Orientations of EXIF that exchange width and height.
_TURNED = (5, 6, 7, 8)
_ORIENTATION = 0x0112

# A file of more is no picture, and may be larger than memory.
_MOST_BYTES = 1 << 30

# Pillow knows many more, some of which start other programs; an MPO is a kind of JPEG.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")


def check_path(path: str) -> None:
    """BadItem when the path of a picture leads out of the raw folder."""
    if path.startswith("/") or ".." in path.split("/"):
        raise BadItem(f"the path {path!r} leaves the raw folder")


def read_file(place: str | Path, path: str) -> bytes:
    """The bytes of the file `place`, which messages call `path`; BadItem when it cannot be read or is far too large."""
    try:
        if (size := os.stat(place).st_size) > _MOST_BYTES:  # noqa: PTH116 - a path or its text
            raise BadItem(f"{path} has {size / 1e9:.1f} GB, which no picture has: remove it")
        return Path(place).read_bytes()
    except OSError as error:
        raise BadItem(f"{path} cannot be read: {error.strerror or error}") from error


def load_picture(raw: Path, path: str) -> bytes:
    """The bytes of `raw/path`, a file or a member of an archive, `images/03.tar/p03_2.png`; BadItem says why not."""
    check_path(path)
    place, name = place_of(raw / path)
    if not name:
        return read_file(place, path)
    archive = Path(place)
    try:
        state = archive.stat()
        return _members(archive, state.st_mtime_ns, state.st_size)[name].read(archive)
    except KeyError:
        raise BadItem(f"{path}: the archive has no such member") from None
    except (OSError, UserError) as error:
        raise BadItem(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


@functools.lru_cache(maxsize=256)
def _members(archive: Path, mtime_ns: int, size: int) -> dict[str, Member]:
    """The members by name; time and size of the archive are part of the key, so a new one is read anew."""
    return {member.name: member for member in layout(archive)}


def check_picture(data: bytes, *, min_size_px: int, max_pixels: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, upright, transparency on white; BadItem says why a picture cannot be used.

    Grey, palette, 16-bit and CMYK pictures are converted. Set aside: empty, unreadable, damaged or animated files, a
    side below `min_size_px`, and more than `max_pixels` pixels: the header is read before anything is decoded.
    """
    if not data:
        raise BadItem("empty file (0 bytes)")
    # A decoder may raise nearly anything on damaged bytes, and a damaged picture is no reason to stop.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                _check_header(picture, min_size_px=min_size_px, max_pixels=max_pixels)
                if picture.format == "PNG":  # whose checksums are not looked at where it is decoded
                    with Image.open(io.BytesIO(data), formats=["PNG"]) as twin:
                        twin.verify()
                picture.load()
                return _to_rgb(ImageOps.exif_transpose(picture))
    except BadItem:
        raise
    except Image.UnidentifiedImageError:
        raise BadItem(f"not a picture that can be read: it begins with {data[:16]!r}; save it as PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise BadItem(f"more than max_pixels ({max_pixels}) pixels by its header") from None
    except Exception as error:
        raise BadItem(f"damaged picture: {error}") from error


def _check_header(picture: Image.Image, *, min_size_px: int, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise BadItem(f"{width}x{height} is more than max_pixels ({max_pixels})")
    if min(width, height) < min_size_px:
        raise BadItem(f"{width}x{height} is too small: a side is below min_size_px ({min_size_px})")
    # The second frame of an MPO, as telephones write them, is a preview of the first.
    if (frames := getattr(picture, "n_frames", 1)) > 1 and picture.format != "MPO":
        raise BadItem(f"animated or of several pages ({frames} frames): save one frame as a picture")


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode == "F":
        raise BadItem("a picture of floating-point numbers: save it with 8 bits a channel")
    if picture.mode.startswith("I"):
        # Pillow would clip 16 bits instead of scaling them.
        grey = np.clip(np.rint(np.asarray(picture, np.float64) / 257), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data or picture.mode in ("RGBa", "La"):
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


def size_of(data: bytes) -> tuple[int, int]:
    """(width, height) of the upright picture, from the header alone; BadItem when it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                turned = picture.getexif().get(_ORIENTATION) in _TURNED
                return (picture.height, picture.width) if turned else picture.size
    except Exception as error:
        raise BadItem(f"not a picture: {error}") from error
