import hashlib
import json
import pickle

import h5py
import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.packed import Chunks, Pack, Picture, write_pack
from pipeline.people.labels import LABELS
from pipeline.people.skeleton import JOINTS

WIDTH, HEIGHT = 22, 32


def pictures(count=3):
    rng = np.random.default_rng(0)
    plane = (HEIGHT, WIDTH)
    for row in range(count):
        yield Picture(
            name=f"ä{row}",
            person=f"p{row % 2}",
            image=rng.integers(0, 256, (*plane, 3), np.uint8),
            keypoints=rng.random((18, 3)).astype(np.float32),
            heatmaps=rng.integers(0, 256, (18, *plane), np.uint8),
            parsing=rng.integers(0, 8, plane, np.uint8),
            mask=rng.integers(0, 2, plane, np.uint8),
            edges=rng.integers(0, 256, plane, np.uint8),
        )


def write(path, codec="none", with_heatmaps=True, rows=None):
    write_pack(
        path,
        rows or pictures(),
        count=3,
        pairs={"train": np.array([(0, 2), (2, 0)], np.int32), "test": np.array([(1, 1)], np.int32)},
        size=(WIDTH, HEIGHT),
        sigma_px=6.0,
        source="figures",
        codec=codec,
        with_heatmaps=with_heatmaps,
    )
    return path


@pytest.mark.parametrize("codec", ["none", "gzip", "blosc"])
def test_what_went_in_comes_out(tmp_path, codec):
    pack = Pack(write(tmp_path / "a.h5", codec))
    assert (len(pack), pack.size, pack.names[1], pack.persons) == (3, (WIDTH, HEIGHT), "ä1", ["p0", "p1", "p0"])
    for row, picture in enumerate(pictures()):
        assert np.array_equal(pack.image(row), picture.image)
        assert np.array_equal(pack.heatmaps(row), picture.heatmaps)
        assert np.array_equal(pack.parsing(row), picture.parsing)
        assert np.array_equal(pack.mask(row), picture.mask)
        assert np.array_equal(pack.edges(row), picture.edges)
        assert np.array_equal(pack.keypoints[row], picture.keypoints)
    assert pack.pairs("train").tolist() == [[0, 2], [2, 0]]
    assert pack.pairs("val").shape == (0, 2)


@pytest.mark.parametrize("codec", ["none", "gzip", "blosc"])
def test_rows_copied_from_an_earlier_pack_give_the_bytes_of_a_fresh_one(tmp_path, codec):
    fresh = Pack(write(tmp_path / "a.h5", codec))
    first, second, third = pictures()
    rows = [Chunks(one.name, one.person, one.keypoints, fresh.chunks(row)) for row, one in ((0, first), (2, third))]
    mixed = write(tmp_path / "b.h5", codec, rows=[rows[0], second, rows[1]])
    assert mixed.read_bytes() == fresh.path.read_bytes()


def test_the_file_is_laid_out_as_documented(tmp_path):
    with h5py.File(write(tmp_path / "a.h5")) as file:
        assert file["images"].chunks == (1, HEIGHT, WIDTH, 3)
        assert file["images"].compression is None
        assert file["heatmaps"].chunks == (1, 18, HEIGHT, WIDTH)
        assert (file["heatmaps"].compression, file["heatmaps"].compression_opts) == ("gzip", 1)
        assert {name: file[name].dtype.str for name in ("images", "keypoints", "parsing", "mask", "edges")} == {
            "images": "|u1", "keypoints": "<f4", "parsing": "|u1", "mask": "|u1", "edges": "|u1",
        }  # fmt: skip
        assert file["pairs/train"].dtype == np.int32
        assert json.loads(file.attrs["joints"]) == list(JOINTS)
        assert json.loads(file.attrs["labels"]) == list(LABELS)
        assert (file.attrs["width"], file.attrs["height"], file.attrs["sigma_px"]) == (WIDTH, HEIGHT, 6.0)
        assert (file.attrs["mean"], file.attrs["std"], file.attrs["schema"]) == (127.5, 127.5, 1)


def test_any_hdf5_reader_reads_it(tmp_path):
    with h5py.File(write(tmp_path / "a.h5")) as file:
        for row, picture in enumerate(pictures()):
            assert np.array_equal(file["images"][row], picture.image)
            for name in ("heatmaps", "parsing", "mask", "edges"):
                assert np.array_equal(file[name][row], getattr(picture, name))


def test_heat_maps_may_be_left_out(tmp_path):
    path = write(tmp_path / "a.h5", with_heatmaps=False)
    assert path.stat().st_size < write(tmp_path / "b.h5").stat().st_size
    pack = Pack(path)
    assert pack.heatmaps(0) is None
    for row, picture in enumerate(pictures()):
        assert np.array_equal(pack.image(row), picture.image)
        assert np.array_equal(pack.edges(row), picture.edges)
        assert np.array_equal(pack.keypoints[row], picture.keypoints)


def test_the_same_input_gives_the_same_bytes(tmp_path):
    one, two = write(tmp_path / "one.h5"), write(tmp_path / "two.h5")
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest()


def test_a_pack_may_be_pickled_while_open(tmp_path):
    pack = Pack(write(tmp_path / "a.h5"))
    first = pack.image(0)
    assert np.array_equal(pickle.loads(pickle.dumps(pack)).image(0), first)


def test_a_broken_or_foreign_file_is_named(tmp_path):
    path = write(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"a\.h5"):
        Pack(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["schema"] = 99
    with pytest.raises(UserError, match="99"):
        Pack(tmp_path / "b.h5")
