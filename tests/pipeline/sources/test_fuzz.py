"""Whatever bytes come, the readers of raw input give what they promise or a reason."""

import io
import json
import os
import resource
import struct
import subprocess
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import quarantine
from pipeline.errors import BadItem, UserError
from pipeline.shards import ShardReader, write_shards
from pipeline.sources import read
from pipeline.sources.annotations import read_annotation
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.names import Names, is_distractor, person_and_pose, split_of_folder, without_suffix
from pipeline.sources.pair_lists import match_pairs
from pipeline.sources.pictures import check_picture, size_of
from tests.stages.corpus import png_of_size

SOME = np.random.default_rng(0).integers(0, 256, (30, 24, 3), np.uint8)
SOME[:15] = (10, 200, 90)


def saved(kind, picture=SOME, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PICTURES = [
    *(saved(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")),
    saved("JPEG", progressive=True, exif=turned()),
    saved("WEBP", lossless=True, exif=turned()),
    saved("PNG", save_all=True, append_images=[Image.fromarray(SOME[::-1])]),
    saved("GIF", save_all=True, append_images=[Image.fromarray(SOME[::-1])]),
    saved("TIFF", compression="tiff_lzw"),
]
MAPS = [saved("PNG", np.zeros((30, 24), np.uint8)), b""]
with io.BytesIO() as stream:
    np.save(stream, np.zeros((30, 24), np.int32))
    MAPS[1] = stream.getvalue()


@st.composite
def damaged(draw, originals):
    """One of the originals with some bytes changed, taken out, put in, or its end cut off; mostly near its header."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, draw(st.sampled_from([40, len(data)]))))
        taken = draw(st.sampled_from([0, 1, 1, 4, 20]))
        data[place : place + taken] = draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\x9c\x40"])
            )
        )
    return bytes(data[: draw(st.sampled_from([len(data), len(data), draw(st.integers(0, len(data)))]))])


def reason(function, *args, **options):
    """What BadItem says, or nothing; any other error is the test's."""
    try:
        function(*args, **options)
    except BadItem as bad:
        return str(bad)
    return ""


@given(damaged(PICTURES))
@settings(max_examples=400, deadline=None)
def test_pictures(data):
    limits = {"min_size_px": 8, "max_pixels": 100_000}
    text = reason(check_picture, data, **limits)
    # An address in memory would be another in every run, and so would quarantine.csv.
    assert " at 0x" not in text
    assert text == reason(check_picture, data, **limits)
    if not text:
        found = check_picture(data, **limits)
        assert (found.dtype, found.ndim, found.shape[2]) == (np.uint8, 3, 3)
        assert size_of(data) == (found.shape[1], found.shape[0])
    reason(size_of, data)


def _webp(side):
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "PNG": png_of_size(40_000, 40_000, saved("PNG")),
    "BMP": saved("BMP")[:18] + struct.pack("<ii", 40_000, 40_000) + saved("BMP")[26:],
    "GIF": saved("GIF")[:6] + struct.pack("<HH", 40_000, 40_000) + saved("GIF")[10:],
    "PPM": b"P6 40000 40000 255\n",
    "JPEG": saved("JPEG").replace(struct.pack(">HH", 30, 24), struct.pack(">HH", 40_000, 40_000)),
    "TIFF": saved("TIFF")
    .replace(struct.pack("<HHII", 256, 4, 1, 24), struct.pack("<HHII", 256, 4, 1, 40_000))
    .replace(struct.pack("<HHII", 257, 4, 1, 30), struct.pack("<HHII", 257, 4, 1, 40_000)),
    "WEBP": _webp(16_384),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_no_header_makes_memory_run_out(kind):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason(check_picture, BOMBS[kind], min_size_px=8, max_pixels=60_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@given(damaged(MAPS), st.sampled_from(["a.png", "a.npy"]))
@settings(max_examples=250, deadline=None)
def test_label_maps(data, path):
    text = reason(decode_labels, data, path, vocabulary="lip", size=(24, 30))
    assert " at 0x" not in text
    assert not text or text.startswith(path)


NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 1e308, -1, None, True, "1", [], {}]),
)
CELLS = st.one_of(
    st.text(max_size=40),
    st.lists(NUMBERS, min_size=18, max_size=18).map(json.dumps),
    st.lists(NUMBERS, max_size=20).map(json.dumps),
    st.just(json.dumps([7] * 18)),
)


@given(st.lists(st.lists(CELLS, max_size=4).map(":".join), max_size=4))
@settings(max_examples=150, deadline=None)
@example([f"a:{'[' * 2000}:{[1] * 18}"])
def test_annotations(lines):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.csv"
        path.write_bytes("\n".join(["name:keypoints_y:keypoints_x", *lines]).encode("utf-8", "surrogatepass"))
        rows, bad = read_annotation(path, "j.csv")
    for row in rows:
        assert row.joints.shape == (18, 3)
        assert np.isfinite(row.joints).all()
    assert all(place.startswith("j.csv, line ") for _, place in bad)


@given(
    st.binary(max_size=120),
    st.sampled_from([b"from,to\n", b"to;from\n", b'"from","to",x\n', b"from,to,from\n", b"\xef\xbb\xbffrom,to\r"]),
)
@settings(max_examples=100, deadline=None)
def test_pair_lists(data, header):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.csv"
        path.write_bytes(header + data)
        try:
            pairs, bad = match_pairs(path, "p.csv", Names(["a_1", "b_2"]))
        except UserError as error:
            assert "p.csv, line 1" in str(error)  # noqa: PT017
            return
    assert {name for start, end, _ in pairs for name in (start, end)} <= {"a_1", "b_2"}
    assert all(place.startswith("p.csv, line ") for _, place in bad)


@given(
    st.binary(max_size=80), st.sampled_from([b"", b"name:keypoints_y:keypoints_x", b"from,to", b"\xff\xfef\0r\0o\0m\0"])
)
@settings(max_examples=60, deadline=None)
def test_a_table_of_any_bytes_beside_a_picture(data, header):
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder)
        (raw / "a_1.png").write_bytes(PICTURES[0])
        (raw / "t.csv").write_bytes(header + data)
        try:
            assert [entry.id for entry in read("folder", raw).entries] == ["a_1"]
        except UserError as error:
            assert "t.csv, line 1" in str(error)  # noqa: PT017


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=4))
@settings(max_examples=200, deadline=None)
def test_names(name, ids):
    stem = without_suffix(name)
    assert unicodedata.is_normalized("NFC", stem)
    split, rest = split_of_folder(stem)
    assert split in (None, "train", "val", "test")
    person, pose = person_and_pose(rest)
    assert len(person) + len(pose) <= len(rest) + len("fashion")
    is_distractor(stem)
    try:
        assert Names(ids).find(name) in ids
    except LookupError as error:
        assert str(error)  # noqa: PT017


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=5))
@settings(max_examples=300, deadline=None)
@example([("a\nb", 'q"\r,'), ("\r", ""), ("NA", "nan"), ("\udcff", "\0"), ("", "\ufeff"), ("=1+1", " x ")])
def test_quarantine_brings_every_name_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        quarantine.write(Path(folder) / "quarantine.csv", rows)
        found = quarantine.read(Path(folder) / "quarantine.csv")
        again = (Path(folder) / "quarantine.csv").read_bytes()
        quarantine.write(Path(folder) / "quarantine.csv", rows[::-1])
        assert (Path(folder) / "quarantine.csv").read_bytes() == again
    escaped = [tuple(text.encode("utf-8", "backslashreplace").decode() for text in row) for row in sorted(rows)]
    assert found == escaped


def test_a_cell_beyond_all_measure_can_be_read_again(tmp_path):
    quarantine.write(tmp_path / "q.csv", [("x" * 1_000_000, '"' * 1_000_000)])
    [(name, why)] = quarantine.read(tmp_path / "q.csv")
    assert (name, why) == ("x" * 5000, '"' * 5000)


FILE_NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in (b".", b"..") and not set(name) & set(b"/\0")
)


@given(st.lists(FILE_NAMES, min_size=1, max_size=4, unique=True))
@settings(max_examples=150, deadline=None)
def test_file_names_of_any_bytes_are_read_or_set_aside(names):
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        (raw / "good_1.png").write_bytes(b"x")
        for name in names:
            (raw / os.fsdecode(name + b".png")).write_bytes(b"x")
        source = read("folder", raw)
        hidden = sum(name.startswith((b".", b"__MACOSX")) for name in names)
        clash = b"good_1" in names
        assert len(source.entries) + len(source.set_aside) + hidden == len(names) + 1 - clash
        quarantine.write(raw.parent / "quarantine.csv", source.set_aside)
        assert sorted(quarantine.read(raw.parent / "quarantine.csv")) == sorted(source.set_aside)
        ids = [entry.id for entry in source.entries]
        write_shards(raw.parent / "images", {key: key.encode() for key in ids}, shards=2, suffix=".png")
        assert list(ShardReader(raw.parent / "images").items()) == [(key, key.encode()) for key in sorted(ids)]


def test_folders_deeper_than_python_can_call_itself(tmp_path):
    (tmp_path / "a_1.png").write_bytes(b"x")
    top = tmp_path / "d"
    place = top
    for _ in range(1200):
        place.mkdir()
        place /= "d"
    (place.parent / "1.png").write_bytes(b"x")
    try:
        assert [len(entry.id.split("/")) for entry in read("folder", tmp_path).entries] == [1, 1201]
    finally:
        subprocess.run(["rm", "-r", top], check=True)
