from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.detectors import examples
from models.detectors.examples import Examples, HeldOut
from pipeline.people import labels, skeleton

CCP = Path(__file__).parents[4] / "shared" / "realdata" / "ccp"
HEADER = "name:keypoints_y:keypoints_x\n"
YS, XS = list(range(10, 28)), list(range(30, 48))


def some(count: int) -> Examples:
    random = np.random.default_rng(0)
    return Examples(
        random.integers(0, 256, (count, 256, 176, 3), dtype=np.uint8),
        random.random((count, 18, 3)).astype(np.float32),
        random.integers(0, 8, (count, 256, 176), dtype=np.uint8),
        np.arange(count) % 2 == 0,
        [f"name {number}" for number in range(count)],
        ["toon", "natural", "toon"][:count],
    )


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_written_is_read_and_the_bytes_are_the_same(tmp_path: Path, count: int):
    written = some(count)
    for name in ("a.h5", "b.h5"):
        examples.write(tmp_path / name, written)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read = examples.read(tmp_path / "a.h5")
    for field in ("images", "joints", "labels", "has_labels"):
        assert np.array_equal(getattr(read, field), getattr(written, field))
    assert (read.names, read.kinds) == (written.names, written.kinds)


def test_joining_and_choosing_keep_rows_together():
    both = examples.join([some(3), some(2)])
    chosen = both.choose(np.array([4, 0]))
    assert chosen.names == ["name 1", "name 0"]
    assert np.array_equal(chosen.images, both.images[[4, 0]])
    assert len(examples.join([])) == 0


def photographs(folder: Path, rows: str, size: tuple[int, int] = (176, 256)) -> Path:
    (folder / "images").mkdir()
    (folder / "labels8").mkdir()
    for stem in ("one", "two"):
        Image.new("RGB", size, (9, 8, 7)).save(folder / "images" / f"{stem}.png")
    (folder / "labels8" / "one.png").write_bytes(labels.to_png(np.full((256, 176), 3, np.uint8)))
    (folder / "annotation.csv").write_text(HEADER + rows)
    return folder


def test_photographs_are_matched_by_stem_and_may_lack_a_map(tmp_path: Path):
    ys = [-1, *YS[1:]]
    found = examples.read_photographs(photographs(tmp_path, f"one.jpg: {YS}: {XS}\ntwo.jpg: {ys}: {XS}\n"))
    assert found.has_labels.tolist() == [True, False]
    assert (found.labels[0] == 3).all()
    assert found.joints[0, 5].tolist() == [XS[5], YS[5], 1]
    assert found.joints[1, 0].tolist() == list(skeleton.MISSING)
    assert found.images[0, 0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize(
    ("rows", "size", "message"),
    [
        (f"one.jpg: {YS}: {XS[:17]}\n", (176, 256), r"annotation\.csv, line 2: 18 y and 17 x"),
        (f"one.jpg: {YS}: {XS}\ntwo.jpg: [1, ]: oops\n", (176, 256), r"annotation\.csv, line 3: expected"),
        (f"three.jpg: {YS}: {XS}\n", (176, 256), r"no picture in .*images for 'three\.jpg'"),
        (f"one.jpg: {YS}: {XS}\n", (100, 256), r"one\.png: 100x256, expected 176x256"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, rows: str, size: tuple[int, int], message: str):
    with pytest.raises(ValueError, match=message):
        examples.read_photographs(photographs(tmp_path, rows, size))


def test_a_folder_needs_one_annotation(tmp_path: Path):
    with pytest.raises(ValueError, match="expected one annotation CSV, found 0"):
        examples.read_photographs(tmp_path)


@given(st.lists(st.text(), min_size=200, max_size=200, unique=True))
def test_a_larger_share_holds_out_the_same_and_more(names: list[str]):
    small = {name for name in names if name in HeldOut(0.1)}
    large = {name for name in names if name in HeldOut(0.3)}
    assert small <= large
    assert not any(name in HeldOut(0.0) for name in names)
    assert all(name in HeldOut(1.0) for name in names)


def test_a_clip_is_held_out_whole():
    frames = [f"street/clip_{number}" for number in range(50)]
    assert all(name in HeldOut(0.0, ("street/clip_",)) for name in frames)
    assert not any(name.replace("clip", "other") in HeldOut(0.0, ("street/clip_",)) for name in frames)


@pytest.mark.skipif(not CCP.exists(), reason="the real photographs are not beside the project")
def test_the_real_photographs_are_read():
    found = examples.read_photographs(CCP)
    assert len(found) == 891
    assert found.has_labels.all()
    held = sum(name in HeldOut(0.1) for name in found.names)
    assert 60 < held < 120
    # People are upright and their labels lie where their joints are.
    nose_y, ankle_y = found.joints[:, 0, 1], found.joints[:, 10, 1]
    both = (nose_y >= 0) & (ankle_y >= 0)
    assert (nose_y < ankle_y)[both].mean() > 0.99
