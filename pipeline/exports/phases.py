"""What the programs that grew from PATN share: a folder of pictures for each phase, lists beside them, pose maps."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.exports.folders import Folder
from pipeline.exports.lists import annotation_csv, jpeg, lines, names_csv, npy, pairs_csv, whole
from pipeline.exports.selection import Selection, Track
from pipeline.people.heatmaps import render
from pipeline.people.skeleton import Joints

PoseMap = Callable[[Joints], NDArray[np.generic]]
EachPicture = Callable[[str, int, str], None]  # phase, row, file stem


def write_phases(
    chosen: Selection,
    folder: Folder,
    track: Track,
    *,
    names: list[str],
    lists: str,
    pose_map: PoseMap | None = None,
    each: EachPicture | None = None,
) -> None:
    """`train/NAME.jpg`, `trainK/NAME.jpg.npy`, `LISTS-pairs-train.csv`, `LISTS-annotation-train.csv`, `train.lst`.

    Likewise for every other split. `pose_map` draws joints at whole pixels as (H, W, 18); `each` writes what else a
    picture has. `names.csv` tells what the files are called in the pack.
    """
    size = chosen.pack.size
    for phase in chosen.kept:
        rows = chosen.needed(phase)
        joints = {row: whole(chosen.pack.keypoints[row], size) for row in rows}
        for row in track(rows, phase):
            file = f"{names[row]}.jpg"
            folder.write(f"{phase}/{file}", jpeg(chosen.pack.image(row)))
            if pose_map:
                folder.write(f"{phase}K/{file}.npy", npy(pose_map(joints[row])))
            if each:
                each(phase, row, names[row])
        folder.write(
            f"{lists}-annotation-{phase}.csv", annotation_csv((f"{names[row]}.jpg", joints[row]) for row in rows)
        )
        pairs = [(f"{names[start]}.jpg", f"{names[end]}.jpg") for start, end in chosen.pairs(phase)]
        folder.write(f"{lists}-pairs-{phase}.csv", pairs_csv(pairs))
        folder.write(f"{phase}.lst", lines(f"{names[row]}.jpg" for row in rows))
    write_names(chosen, folder, names)


def write_names(chosen: Selection, folder: Folder, names: list[str]) -> None:
    """`names.csv` of every picture that is exported."""
    rows = sorted({row for split in chosen.kept for row in chosen.needed(split)})
    table = ((names[row], chosen.pack.names[row], chosen.pack.persons[row]) for row in rows)
    folder.write("names.csv", names_csv(table))


def delta(size: tuple[int, int]) -> PoseMap:
    """(H, W, 18) uint8 with a single 1 at each joint: what is left of a Gaussian that is stored in whole numbers."""

    def draw(joints: Joints) -> NDArray[np.generic]:
        return render(joints, width=size[0], height=size[1], kind="delta").transpose(1, 2, 0).astype(np.uint8)

    return draw


def gaussian(size: tuple[int, int], sigma_px: float) -> PoseMap:
    """(H, W, 18) float32, 1 at each joint."""

    def draw(joints: Joints) -> NDArray[np.generic]:
        return render(joints, width=size[0], height=size[1], sigma_px=sigma_px).transpose(1, 2, 0)

    return draw
