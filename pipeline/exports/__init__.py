"""Packs written as the files that other programs open, one file of this room per layout.

A layout is a module with `write(chosen, folder, track)`; adding one is a file and a line here.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline.exports import adgan, coco, gfla, patn, scagan, seed001, spt, webdataset
from pipeline.exports.folders import Folder
from pipeline.exports.selection import Selection, Track

__all__ = ["LAYOUTS", "Selection", "export"]

Layout = Callable[[Selection, Folder, Track], None]

LAYOUTS: dict[str, Layout] = {
    "adgan": adgan.write,
    "patn": patn.write,
    "gfla": gfla.write,
    "spt": spt.write,
    "scagan": scagan.write,
    "seed001": seed001.write,
    "coco": coco.write,
    "webdataset": webdataset.write,
}


def export(layout: str, chosen: Selection, out: Path, *, domain: str, track: Track) -> Folder:
    """Write the chosen pictures and pairs below `out` and return what was written; the same input, the same bytes.

    `track` is put around what takes long, with a title. UserError when the layout does not fit the pictures, or when
    `out` holds something that is no earlier export of this layout and domain.
    """
    folder = Folder(out, layout=layout, domain=domain)
    LAYOUTS[layout](chosen, folder, track)
    folder.close()
    return folder
