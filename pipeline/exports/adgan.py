"""ADGAN: PATN's files and `semantic_merge3/GENDER/Category/id_XXXXXXXX/NN_V_view.npy`, labels in ADGAN's order."""

import re

from pipeline.exports.folders import Folder
from pipeline.exports.lists import npy
from pipeline.exports.phases import delta, write_phases
from pipeline.exports.selection import Selection, Track
from pipeline.people.labels import write_as

_PARTS = re.compile(r"fashion(WOMEN|MEN)(.+)id(\d{8})(\d{2}_\d)([a-z]+)")


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """For `--dataroot DIR --dirSem DIR --pairLst DIR/fashion-resize-pairs-train.csv`."""
    chosen.check_size("adgan")

    def labels(phase: str, row: int, name: str) -> None:
        folder.write(f"semantic_merge3/{tree_of(name)}.npy", npy(write_as(chosen.pack.parsing(row), "adgan")))

    size, names = chosen.pack.size, chosen.fashion_names
    write_phases(chosen, folder, track, names=names, lists="fashion-resize", pose_map=delta(size), each=labels)


def tree_of(name: str) -> str:
    """The path in DeepFashion's tree of a flattened name."""
    found = _PARTS.fullmatch(name)
    assert found, name
    gender, category, item, view, word = found.groups()
    return f"{gender}/{category}/id_{item}/{view}_{word}"
