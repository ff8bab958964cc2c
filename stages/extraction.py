"""How well key points and label maps were found where the truth is known: in rendered people."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from models.metrics.extraction import score_joints, score_labels
from pipeline.packed import Pack
from pipeline.people import labels, skeleton
from pipeline.shards import ShardReader
from stages.artifacts import artifact, read_keypoints


def score_extraction(domain: str, packed: Pack) -> dict[str, dict[str, float]]:
    """PCKh and mean IoU of the packed joints and label maps against what was rendered."""
    truth = read_keypoints(artifact("figures", domain, "truth.parquet"))
    moves = pd.read_parquet(artifact("crop", domain, "moves.parquet")).set_index("id")
    true_joints = np.stack(list(_moved(truth, moves, packed)))
    found = [packed.parsing(row) for row in range(len(packed))]
    drawn = ShardReader(artifact("figures", domain, "labels"))
    true_maps = [
        moved_labels(
            labels.from_png(drawn[name]), tuple(moves.loc[name, "offset"]), tuple(moves.loc[name, "scale"]), packed.size
        )
        for name in packed.names
    ]
    return {
        "pckh": score_joints(packed.keypoints, true_joints, packed.persons),
        "miou": score_labels(found, true_maps, packed.persons),
    }


def moved_labels(
    drawn: labels.LabelMap, offset: tuple[float, float], scale: tuple[float, float], size: tuple[int, int]
) -> labels.LabelMap:
    """(H, W) the label map as `crop` moved its picture: nearest neighbour, background where the original ends."""
    width, height = size
    x = np.floor((np.arange(width) + 0.5) / scale[0] + offset[0]).astype(int)
    y = np.floor((np.arange(height) + 0.5) / scale[1] + offset[1]).astype(int)
    rows, columns = drawn.shape
    moved = drawn[np.clip(y, 0, rows - 1)[:, None], np.clip(x, 0, columns - 1)]
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))
    return np.where(inside, moved, labels.BACKGROUND).astype(np.uint8)


def _moved(truth: dict[str, skeleton.Joints], moves: pd.DataFrame, packed: Pack) -> Iterator[skeleton.Joints]:
    for name in packed.names:
        move = moves.loc[name]
        yield skeleton.move(truth[name], offset=tuple(move["offset"]), scale=tuple(move["scale"]), size=packed.size)
