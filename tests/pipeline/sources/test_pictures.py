"""Pictures as they come: every kind becomes upright RGB or a reason."""

import io
import tarfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import BadItem
from pipeline.memo import Memo
from pipeline.sources.contents import find_contents
from pipeline.sources.pictures import check_picture, load_picture, size_of

# Four flat quarters: red, green over blue, white.
QUARTERS = np.zeros((40, 60, 3), np.uint8)
QUARTERS[:20, :30], QUARTERS[:20, 30:], QUARTERS[20:, :30], QUARTERS[20:, 30:] = (
    (200, 0, 0),
    (0, 200, 0),
    (0, 0, 200),
    255,
)


def saved(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def check(data, *, min_size_px=16, max_pixels=10_000):
    return check_picture(data, min_size_px=min_size_px, max_pixels=max_pixels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_kinds_are_exact(kind):
    np.testing.assert_array_equal(check(saved(Image.fromarray(QUARTERS), kind)), QUARTERS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_kinds_are_near(kind):
    data = saved(Image.fromarray(QUARTERS), kind, quality=95)
    found = check(data)
    assert np.abs(found[5:15, 5:25].astype(int) - (200, 0, 0)).max() < 12
    np.testing.assert_array_equal(found, check(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(orientation):
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    # Stored so that turning it as the tag says gives QUARTERS.
    stored = np.ascontiguousarray(turns[orientation](QUARTERS))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(stored), "PNG", exif=exif)
    np.testing.assert_array_equal(check(data), QUARTERS)
    assert size_of(data) == (60, 40)


def test_transparency_is_laid_on_white():
    rgba = np.dstack([QUARTERS, np.full((40, 60), 255, np.uint8)])
    rgba[:20, :30, 3], rgba[:20, 30:, 3] = 0, 128
    found = check(saved(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(found[0, 0], (255, 255, 255))
    np.testing.assert_allclose(found[0, 59].astype(int), (127, 227, 127), atol=1)
    np.testing.assert_array_equal(found[39, 0], (0, 0, 200))


def test_palette_with_a_transparent_colour():
    picture = Image.fromarray(QUARTERS).quantize(4)
    found = check(saved(picture, "PNG", transparency=picture.getpixel((0, 0))))
    np.testing.assert_array_equal(found[0, 0], (255, 255, 255))
    np.testing.assert_array_equal(found[39, 0], (0, 0, 200))


def test_grey_and_grey_with_alpha():
    grey = Image.fromarray(QUARTERS).convert("L")
    np.testing.assert_array_equal(check(saved(grey, "PNG")), np.repeat(np.asarray(grey)[..., None], 3, 2))
    with_alpha = Image.merge("LA", (grey, Image.new("L", grey.size, 0)))
    assert (check(saved(with_alpha, "PNG")) == 255).all()


def test_sixteen_bits_are_scaled():
    ramp = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (40, 1))
    for kind in ("PNG", "TIFF"):
        found = check(saved(Image.fromarray(ramp), kind))
        np.testing.assert_array_equal(found[..., 0], np.rint(ramp / 257).astype(np.uint8))


def test_cmyk_has_its_colours():
    found = check(saved(Image.fromarray(QUARTERS).convert("CMYK"), "JPEG", quality=95))
    for row, column in ((10, 10), (10, 50), (30, 10), (30, 50)):
        np.testing.assert_allclose(found[row, column].astype(int), QUARTERS[row, column], atol=12)


def test_a_telephones_second_frame_is_no_animation():
    picture = Image.fromarray(QUARTERS)
    data = saved(picture, "MPO", save_all=True, append_images=[picture.resize((30, 20))])
    assert check(data).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_pictures_are_set_aside(kind):
    frames = [Image.fromarray(np.roll(QUARTERS, shift, axis=0)) for shift in (0, 7, 13)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(BadItem, match="3 frames"):
        check(data)


def test_one_frame_of_gif_is_a_picture():
    assert check(saved(Image.fromarray(QUARTERS), "GIF")).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"<!DOCTYPE html><html>404</html>", "not a picture that can be read: it begins with b'<!DOCTYPE html>"),
        (saved(Image.fromarray(QUARTERS), "JPEG")[:300], "."),
        (
            saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)), "PNG")[:3000],
            "damaged",
        ),
        (saved(Image.new("RGB", (15, 100)), "PNG"), r"15x100 is too small: a side is below min_size_px \(16\)"),
        (saved(Image.new("RGB", (1, 1)), "PNG"), "1x1 is too small"),
        (saved(Image.new("L", (101, 100)), "PNG"), r"101x100 is more than max_pixels \(10000\)"),
        (saved(Image.fromarray(np.zeros((40, 60), np.float32)), "TIFF"), "floating-point"),
    ],
)
def test_bad_pictures_have_a_reason(data, reason):
    with pytest.raises(BadItem, match=reason):
        check(data)


def test_no_changed_bit_of_a_png_passes():
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)), "PNG")
    start, end = data.index(b"IDAT"), data.index(b"IEND")
    for place in range(start, end - 4):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(BadItem, match=r"damaged picture|not a picture"):
            check_picture(bytes(damaged), min_size_px=1, max_pixels=100)


def test_a_bomb_is_refused_by_its_header():
    """40,000 x 40,000 pixels: nothing of them is decoded, so that memory does not matter."""
    data = bytearray(saved(Image.new("L", (20, 20)), "PNG"))
    data[16:24] = (40_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(BadItem, match="max_pixels"):
        check(bytes(data), max_pixels=60_000_000)


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF"]), st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_give_a_picture_or_a_reason(kind, draw):
    damaged = bytearray(saved(Image.fromarray(QUARTERS), kind))
    for _ in range(draw.draw(st.integers(1, 5))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    data = bytes(damaged[: draw.draw(st.integers(1, len(damaged)))])
    try:
        found = check(data)
    except BadItem:
        return
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert found.dtype == np.uint8


def test_files_and_members_are_loaded(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"file")
    for content in (b"one", b"another"):
        with tarfile.open(tmp_path / "images/03.tar", "w") as tar:
            header = tarfile.TarInfo("sub/b.png")
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
        assert load_picture(tmp_path, "images/a.png") == b"file"
        assert load_picture(tmp_path, "images/03.tar/sub/b.png") == content


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "images/../../secret"])
def test_nothing_outside_of_raw_is_read(tmp_path, path):
    (tmp_path / "raw/images").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    with pytest.raises(BadItem, match="leaves the raw folder"):
        load_picture(tmp_path / "raw", path)


def test_a_file_that_is_larger_than_any_picture_is_not_read(tmp_path):
    with (tmp_path / "film.jpg").open("wb") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
    with pytest.raises(BadItem, match=r"film\.jpg has 1099\.5 GB, which no picture has"):
        load_picture(tmp_path, "film.jpg")
    found = find_contents(tmp_path, ["film.jpg"], Memo(tmp_path / "memo"))
    assert "which no picture has" in str(found["film.jpg"])


def test_what_cannot_be_loaded_is_named(tmp_path):
    (tmp_path / "bad.tar").write_bytes(b"no archive at all" * 100)
    (tmp_path / "good.tar").write_bytes(b"")
    with tarfile.open(tmp_path / "good.tar", "w"):
        pass
    for path in ("gone.png", "bad.tar/a.png", "none.tar/a.png"):
        with pytest.raises(BadItem, match=f"{path} cannot be read"):
            load_picture(tmp_path, path)
    with pytest.raises(BadItem, match=r"good.tar/a.png: the archive has no such member"):
        load_picture(tmp_path, "good.tar/a.png")
