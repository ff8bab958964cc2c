"""Generated pictures beside their targets: what is matched, what is cut, and what is left out with its reason."""

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from stages.trials import Trial, has_white_columns, make_trial, read_folders, read_strips


def plain(width, height, level=90):
    return np.full((height, width, 3), level, np.uint8)


def save(path, picture):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def folder(tmp_path):
    """Four generated pictures of which two can be used, and five targets."""
    save(tmp_path / "fake" / "square.png", np.concatenate([plain(128, 256, 10), plain(128, 256, 20)], axis=1))
    save(tmp_path / "fake" / "grey.png", plain(176, 256)[..., 0])
    save(tmp_path / "fake" / "small.png", plain(176, 256))
    (tmp_path / "fake" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n123")
    for name in ("square", "grey", "torn", "alone"):
        save(tmp_path / "real" / f"{name}.jpg", plain(176, 256))
    save(tmp_path / "real" / "small.jpg", plain(100, 200))
    return tmp_path


def test_what_cannot_be_used_is_left_out_with_its_reason(folder):
    trials, left_out = read_folders(folder / "fake", folder / "real", None, None)
    assert [trial.name for trial in trials] == ["grey", "square"]
    told = "\n".join(left_out)
    assert "small: generated 176x256, its target 100x200: scale or crop" in told
    assert "torn: " in told
    assert "torn.png: not a picture" in told
    assert "alone: there is no generated picture of that name" in told
    assert len(left_out) == 3


def test_of_the_fields_squares_the_middle_is_taken(folder):
    trials, _ = read_folders(folder / "fake", folder / "real", None, None)
    grey, square = trials
    assert square.generated.shape == square.target.shape == (256, 176, 3)
    assert (square.generated[:, :88] == 10).all()
    assert (square.generated[:, 88:] == 20).all()
    assert square.cut
    assert not grey.cut


def test_generated_pictures_that_no_line_asks_for_are_told(folder):
    (folder / "pairs.csv").write_text("from,to\nalone,grey\nalone,gone\n")
    trials, left_out = read_folders(folder / "fake", folder / "real", folder / "pairs.csv", None)
    assert [trial.ends for trial in trials] == [("alone", "grey")]
    assert left_out[0].startswith("alone,gone: ")
    assert sorted(line.partition("fake/")[2] for line in left_out[1:]) == [
        f"{name}.png: the pair list has no line for it" for name in ("small", "square", "torn")
    ]


def test_white_columns_are_seen():
    person = plain(176, 256)
    framed = np.pad(person, ((0, 0), (40, 40), (0, 0)), constant_values=255)
    assert has_white_columns(make_trial("a", framed, framed))
    assert not has_white_columns(make_trial("a", person, person))
    assert not has_white_columns(make_trial("a", plain(256, 256), framed))


def test_two_pictures_of_one_name_are_a_question(folder):
    save(folder / "real" / "grey.png", plain(176, 256))
    with pytest.raises(UserError, match=r"grey\.png and grey\.jpg are two pictures of one name"):
        read_folders(folder / "fake", folder / "real", None, None)


def test_a_picture_among_strips_that_is_none_is_left_out(tmp_path):
    save(tmp_path / "strips" / "a.jpg___b.jpg_vis.png", np.concatenate([plain(176, 256, n) for n in range(5)], axis=1))
    save(tmp_path / "strips" / "cover.png", plain(300, 256))
    (trial,), (left_out,) = read_strips(tmp_path / "strips", None)
    assert (trial.source.max(), trial.target.max(), trial.generated.max()) == (0, 2, 4)
    assert "cover.png: 300x256 is no strip of 5 or 3 pictures; give --layout" in left_out


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("0007_c2s3_070952_01.jpg_0007_c3s3_077419_03.jpg", ("0007_c2s3_070952_01", "0007_c3s3_077419_03")),
        ("fashionMENa.jpg___fashionMENb.jpg_vis", ("fashionMENa", "fashionMENb")),
        ("x___y", ("x", "y")),
        ("y.jpg_vis", ("", "y")),
        ("mage_idle", ("", "mage_idle")),
    ],
)
def test_names_tell_source_and_target(name, ends):
    assert Trial(name, plain(4, 4), plain(4, 4)).ends == ends
