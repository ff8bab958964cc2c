import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.films import read_frames, write_film

LIMIT = {"max_pixels": 1_000_000}


def frames(count=5, height=64, width=48):
    """A bright square that goes from left to right over a dark picture."""
    out = np.full((count, height, width, 3), (20, 30, 60), np.uint8)
    for number, picture in enumerate(out):
        picture[20:36, 4 + 6 * number : 20 + 6 * number] = (230, 180, 40)
    return list(out)


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_a_film_comes_back(tmp_path, ending):
    path = tmp_path / "new" / f"film{ending}"
    write_film(path, frames(), fps=10)
    back = read_frames(path, **LIMIT)
    assert list(back) == [f"frame {number}" for number in range(5)]
    for own, read in zip(frames(), back.values(), strict=True):
        assert np.abs(own.astype(int) - read).mean() < 3
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    first = path.read_bytes()
    write_film(path, frames(), fps=10)
    assert path.read_bytes() == first


def test_a_gif_has_its_speed_and_no_end(tmp_path):
    write_film(tmp_path / "a.gif", frames(), fps=8)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.info["duration"], film.info["loop"]) == (5, 120, 0)


def test_odd_sides_lose_a_pixel_in_an_mp4(tmp_path):
    write_film(tmp_path / "a.mp4", frames(height=65, width=49), fps=10)
    assert {picture.shape for picture in read_frames(tmp_path / "a.mp4", **LIMIT).values()} == {(64, 48, 3)}


def test_a_folder_is_read_by_name_every_nth(tmp_path):
    for number, picture in enumerate(frames()):
        Image.fromarray(picture).save(tmp_path / f"walk_{number:02d}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert list(read_frames(tmp_path, every=2, **LIMIT)) == ["walk_00.png", "walk_02.png", "walk_04.png"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "none.mp4: there is no such file or folder"),
        ("words.txt", b"abc", "words.txt: neither a folder nor a clip"),
        ("torn.mp4", b"abc", "torn.mp4: no clip that can be read"),
        ("torn.gif", b"GIF89a", "torn.gif: no clip that can be read"),
    ],
)
def test_what_is_no_film_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_frames(tmp_path / name, **LIMIT)


def test_an_empty_folder_a_huge_clip_and_a_torn_picture_are_named(tmp_path):
    with pytest.raises(UserError, match="no picture in it"):
        read_frames(tmp_path, **LIMIT)
    write_film(tmp_path / "a.mp4", frames(), fps=10)
    with pytest.raises(UserError, match="48x64 is more than 1000 pixels"):
        read_frames(tmp_path / "a.mp4", max_pixels=1000)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"torn\.png: .*take it out of the folder"):
        read_frames(tmp_path, **LIMIT)
    with pytest.raises(UserError, match=r"ends in \.gif or \.mp4"):
        write_film(tmp_path / "a.avi", frames(), fps=10)
