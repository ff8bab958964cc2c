"""What `restyle` and `edit` share: systems that draw after a given label map, and label maps as files to paint in."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError

if TYPE_CHECKING:
    from models.spt import Spt
    from pipeline.people.labels import LabelMap
    from pipeline.pictures import Bytes
    from stages.photograph import Photograph

# Squared distance of a pixel's colour from the palette's nearest one, above which it is none of them.
_FAR = 3 * 24**2


def open_painter(checkpoint: Path | None, edit: str) -> "Spt":
    """The trained system; UserError when it draws after no label map."""
    from models.spt import Spt
    from stages.commands._pictures import open_method

    method = open_method(checkpoint)
    if isinstance(method, Spt) and edit in method.edits:
        return method
    why = "its mode `baseline` knows no label maps" if isinstance(method, Spt) else "it takes no label map"
    raise UserError(
        f"{checkpoint or 'the newest network'}: {method.name} cannot {edit}, {why}; give a --checkpoint of spt"
    )


def paint(method: "Spt", person: "Photograph", layout: "Photograph") -> "Bytes":
    """(H, W, 3) RGB: the textures of `person` on the label map and pose of `layout`."""
    from models.data import to_levels
    from stages.photograph import make_batch

    levels_3HW = to_levels(method.repaint(make_batch(person, layout)))[0]
    picture: Bytes = levels_3HW.permute(1, 2, 0).numpy()
    return picture


def write_layout(path: Path, layout: "LabelMap") -> None:
    """Write the label map as an indexed PNG in our colours."""
    from pipeline.people.labels import to_png

    if path.suffix.lower() != ".png":
        raise UserError(f"--write-layout {path}: a label map is a PNG; give a name that ends in .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_png(layout))
    except OSError as error:
        raise UserError(f"--write-layout {path}: cannot be written ({error.strerror}); give another name") from error


def read_layout(path: Path, size: tuple[int, ...]) -> "LabelMap":
    """(H, W) labels of an indexed or grey PNG, or of a picture in our eight colours as paint programs save it."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from pipeline.people.labels import LABELS, PALETTE

    try:
        with Image.open(path) as picture:
            is_indexed = picture.mode in ("P", "L")
            pixels = np.asarray(picture if is_indexed else picture.convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"--layout {path}: there is no such file; --write-layout writes one to edit") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UserError(f"--layout {path}: no picture that can be read ({error}); give a PNG") from error
    if pixels.shape[:2] != size[:2]:
        found, wanted = (f"{shape[1]}x{shape[0]}" for shape in (pixels.shape, size))
        raise UserError(
            f"--layout {path}: it is {found}, the network's pictures are {wanted}; edit what --write-layout wrote"
        )
    if not is_indexed:
        away = ((pixels[..., None, :].astype(int) - PALETTE) ** 2).sum(-1)
        pixels = np.where(away.min(-1) <= _FAR, away.argmin(-1), len(LABELS))
    if (bad := pixels[pixels >= len(LABELS)]).size:
        raise UserError(
            f"--layout {path}: {bad.size} pixels are none of the eight labels 0..7 or their colours; "
            "edit what --write-layout wrote, with a hard brush"
        )
    return pixels.astype(np.uint8)
