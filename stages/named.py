"""Pictures by their names in the catalog, as the packs hold them: cropped, with the joints and labels of the stages."""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.sources.names import without_suffix
from stages import artifacts
from stages.looks import Recipe
from stages.photograph import Photograph

_SHOWN = 6


def find_named(wanted: str, recipe: Recipe) -> Photograph | None:
    """The picture whose name `wanted` is or alone begins, with or without `domain/` before it; None where none is.

    An ending such as .jpg does not count. UserError where several are meant, or a pack's pictures have another size.
    """
    packs = {path.stem: Pack(path) for path in sorted(artifacts.pack("*").parent.glob("*.h5"))}
    rows = {(domain, name): row for domain, pack in packs.items() for row, name in enumerate(pack.names)}
    both = {key: (key[1], "/".join(key)) for key in rows}
    exact = {wanted, without_suffix(wanted)}
    meant = [key for key, names in both.items() if exact & set(names)]
    meant = meant or [key for key, names in both.items() if any(name.startswith(wanted) for name in names)]
    if len(meant) > 1:
        shown = ", ".join("/".join(key) for key in meant[:_SHOWN]) + (", ..." if len(meant) > _SHOWN else "")
        raise UserError(f"{wanted}: {len(meant)} pictures of the catalog are called or begin so: {shown}; say which")
    if not meant:
        return None
    pack, row = packs[meant[0][0]], rows[meant[0]]
    if pack.size != recipe.size:
        found, here = (f"{width}x{height}" for width, height in (pack.size, recipe.size))
        raise UserError(f"{pack.path}: its pictures are {found}, here they are {here}; run `dvc repro`")
    return Photograph(Path(meant[0][1]).name, pack.image(row), pack.keypoints[row], pack.parsing(row), 0, recipe.edges)
