"""What any method has to beat, and what none can: pictures that need no training, for every pair of a table."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.packed import Pack
from pipeline.people.skeleton import is_present

Rows = NDArray[np.int32]
Pictures = list[NDArray[np.uint8]]


def copy_source(packed: Pack, pairs: Rows) -> Pictures:
    """The source picture as it is."""
    return [packed.image(int(source)) for source, _ in pairs]


def mean_person(packed: Pack, pairs: Rows) -> Pictures:
    """The mean of all training pictures, for every pair."""
    known = _training(packed)
    mean = np.mean([packed.image(row).astype(np.float64) for row in known], axis=0)
    return [np.rint(mean).astype(np.uint8)] * len(pairs)


def nearest_pose(packed: Pack, pairs: Rows) -> Pictures:
    """The training picture whose pose is nearest to the target's, whoever it shows."""
    known = _training(packed)
    joints = packed.keypoints[known]
    return [packed.image(known[_nearest(joints, packed.keypoints[target])]) for _, target in pairs]


def oracle(packed: Pack, pairs: Rows) -> Pictures:
    """The target itself: what a perfect method would score."""
    return [packed.image(int(target)) for _, target in pairs]


BASELINES: dict[str, Callable[[Pack, Rows], Pictures]] = {
    "copy_source": copy_source,
    "mean_person": mean_person,
    "nearest_pose": nearest_pose,
    "oracle": oracle,
}


def _training(packed: Pack) -> list[int]:
    return sorted({int(row) for row in packed.pairs("train").ravel()})


def _nearest(joints: NDArray[np.float32], pose: NDArray[np.float32]) -> int:
    """The row of `joints` (N, 18, 3) that is nearest on the mean; a joint that only one has counts half the height."""
    there, asked = is_present(joints), is_present(pose)
    height = np.ptp(pose[asked, 1]) if asked.any() else 1.0
    away = np.linalg.norm(joints[..., :2] - pose[:, :2], axis=-1)
    away = np.where(there & asked, away, np.where(there == asked, 0.0, height / 2))
    return int(away.mean(1).argmin())
