"""HDF5 of pairs: condition, target, 18-channel pose and mask of every pair, as the pair networks of 2018 read them.

    condition, target (M, 256, 256, 3)  float32 -1..1, (value - 127.5) / 127.5
    pose              (M, 256, 256, 18) float32 +1 within 4 px of the target's joint, -1 elsewhere
    mask              (M, 256, 256, 1)  float32 1 = the target's body
    from, to          (M) utf-8         names of the pictures

Every picture is there as often as pairs name it, so this is for some thousand pairs.
"""

from collections.abc import Iterable

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.exports.folders import Folder
from pipeline.exports.selection import Selection, Track
from pipeline.people.heatmaps import render

_MEAN, _STD = 127.5, 127.5
_RADIUS_PX = 4


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """`train.h5`, `val.h5`, `test.h5` of the splits that have pairs; narrow pictures get white borders."""
    for split in chosen.splits:
        if pairs := chosen.pairs(split):
            _write_pairs(chosen, folder, split, track(pairs, split), len(pairs))


def _write_pairs(chosen: Selection, folder: Folder, split: str, pairs: Iterable[tuple[int, int]], count: int) -> None:
    pack = chosen.pack
    width, height = pack.size
    side = max(width, height)
    channels = {"condition": 3, "target": 3, "pose": 18, "mask": 1}
    place = folder.place(f"{split}.h5")
    partial = place.with_name(f"{place.name}.part")
    with h5py.File(partial, "w", libver="latest", track_order=True, rdcc_nbytes=0) as file:
        file.attrs["mean"], file.attrs["std"] = _MEAN, _STD
        sets = {
            name: file.create_dataset(
                name,
                (count, side, side, depth),
                "f4",
                chunks=(1, side, side, depth),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
                track_times=False,
            )
            for name, depth in channels.items()
        }
        names = []
        for index, (start, end) in enumerate(pairs):
            discs = render(pack.keypoints[end], width=width, height=height, kind="disc", sigma_px=_RADIUS_PX)
            sets["condition"][index] = _square((pack.image(start) - _MEAN) / _STD, 1)
            sets["target"][index] = _square((pack.image(end) - _MEAN) / _STD, 1)
            sets["pose"][index] = _square(discs.transpose(1, 2, 0) * 2 - 1, -1)
            sets["mask"][index] = _square(pack.mask(end)[..., None], 0)
            names.append((pack.names[start], pack.names[end]))
        for name, column in zip(("from", "to"), zip(*names, strict=True), strict=True):
            file.create_dataset(name, data=np.array(column, object), dtype=h5py.string_dtype(), track_times=False)
    partial.replace(place)


def _square(plane: NDArray[np.generic], fill: float) -> NDArray[np.float32]:
    """(S, S, C): the plane (H, W, C) in the middle."""
    height, width = plane.shape[:2]
    rest = [(max(height, width) - length) for length in (height, width)]
    border = [(each // 2, each - each // 2) for each in rest]
    return np.pad(plane.astype(np.float32), (*border, (0, 0)), constant_values=fill)
