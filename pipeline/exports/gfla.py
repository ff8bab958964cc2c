"""GFLA and PISE: pictures, lists by the names these programs open (`fasion-...`), and PISE's `trainSPL8` label maps."""

from pipeline.exports.folders import Folder
from pipeline.exports.lists import widened
from pipeline.exports.phases import write_phases
from pipeline.exports.selection import Selection, Track
from pipeline.people.labels import BACKGROUND, write_as
from pipeline.pictures import encode_png


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """For `--dataroot DIR`; joints are counted in 176x256, label maps have borders of 40 columns: 256x256."""
    chosen.check_size("gfla")

    def labels(phase: str, row: int, name: str) -> None:
        plane = widened(write_as(chosen.pack.parsing(row), "pise"), BACKGROUND)
        folder.write(f"{phase}SPL8/{name}.png", encode_png(plane))

    write_phases(chosen, folder, track, names=chosen.fashion_names, lists="fasion", each=labels)
