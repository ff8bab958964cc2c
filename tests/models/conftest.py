"""A tiny pack of real arrays: two persons of coloured blocks, three pictures each."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from models.data import Pairs
from pipeline.packed import Pack, Picture, write_pack
from pipeline.people import heatmaps

pytest.register_assert_rewrite("tests.models.contract")

WIDTH, HEIGHT = 44, 64


def _picture(person: int, pose: int) -> Picture:
    dice = np.random.default_rng((person, pose))
    parsing = np.zeros((HEIGHT, WIDTH), np.uint8)
    left = 8 + 6 * pose
    parsing[8:20, left : left + 12] = 2
    parsing[20:40, left : left + 12] = 3
    parsing[40:60, left : left + 12] = 4
    palette = np.random.default_rng(person).integers(0, 256, (8, 3), np.uint8)
    joints = np.concatenate(
        [dice.uniform(left, left + 12, (18, 1)), dice.uniform(8, 60, (18, 1)), np.ones((18, 1))], axis=1
    ).astype(np.float32)
    joints[17] = (-1, -1, 0)
    maps = heatmaps.to_uint8(heatmaps.render(joints, width=WIDTH, height=HEIGHT))
    mask = (parsing > 0).astype(np.uint8)
    return Picture(f"p{person}_{pose}", f"p{person}", palette[parsing], joints, maps, parsing, mask, 255 * (1 - mask))


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    path: Path = tmp_path_factory.mktemp("pack") / "tiny.h5"
    pictures = [_picture(person, pose) for person in range(2) for pose in range(3)]
    train, val = (np.array(list(permutations(rows, 2)), np.int32) for rows in ((0, 1, 2), (3, 4, 5)))
    write_pack(
        path,
        pictures,
        count=6,
        pairs={"train": train, "val": val},
        size=(WIDTH, HEIGHT),
        sigma_px=6.0,
        source="figures",
    )
    return Pack(path)


@pytest.fixture(scope="session")
def train_pairs(pack: Pack) -> Pairs:
    return Pairs(pack, pack.pairs("train"))


@pytest.fixture(scope="session")
def val_pairs(pack: Pack) -> Pairs:
    return Pairs(pack, pack.pairs("val"))
