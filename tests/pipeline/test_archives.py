"""Archives read in place: every member as it was put in, and nothing read twice."""

import io
import tarfile
import zipfile

import pytest

from pipeline.archives import file_identity, list_members, place_of
from pipeline.content import Content, digest
from pipeline.errors import BadItem, UserError
from pipeline.memo import Memo

FILES = {"a/one.png": b"first" * 40, "a/two.png": b"", "három.png": bytes(range(256)) * 30}


def write_tar(path, files=FILES):
    with tarfile.open(path, "w") as tar:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_zip(path, files=FILES, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        packed.mkdir("a")
        for name, data in files.items():
            packed.writestr(name, data)
    return path


@pytest.fixture
def memo(tmp_path):
    return Memo(tmp_path / "memo")


def contents(path, memo):
    return {member.name: member.content(path) for member in list_members(path, memo)}


@pytest.mark.parametrize("kind", ["tar", "deflated", "stored"])
def test_members_are_what_was_put_in(tmp_path, memo, kind):
    if kind == "tar":
        path = write_tar(tmp_path / "x.tar")
    else:
        path = write_zip(tmp_path / "x.zip", method=getattr(zipfile, f"ZIP_{kind.upper()}"))
    found = contents(path, memo)
    assert {name: content.read() for name, content in found.items()} == FILES
    assert {name: content.digest for name, content in found.items()} == {
        name: digest([data]) for name, data in FILES.items()
    }


def test_a_known_archive_is_not_read_again_and_a_new_one_is(tmp_path, memo, monkeypatch):
    path = write_tar(tmp_path / "x.tar")
    settle(path, seconds_ago=60)
    first = contents(path, memo)
    monkeypatch.setattr("pipeline.archives._layout_tar", lambda path: pytest.fail("read again"))
    assert contents(path, memo).keys() == first.keys()
    monkeypatch.undo()
    write_tar(path, FILES | {"new.png": b"!"})
    settle(path, seconds_ago=30)
    assert contents(path, memo)["new.png"].read() == b"!"


def settle(path, seconds_ago):
    """As if the file had been written some time ago."""
    import os
    import time

    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))


def test_an_archive_that_was_written_just_now_is_not_trusted(tmp_path, memo):
    path = write_tar(tmp_path / "x.tar")
    contents(path, memo)
    assert memo.identities([path]) == {}


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_a_cut_off_archive_is_an_error_that_names_it(tmp_path, memo, write, keep):
    path = write(tmp_path / f"x.{write.__name__[-3:]}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    if write is write_tar and keep == 0.9:  # what is missing is the padding behind the last member
        path.write_bytes(data[: data.rindex(b"\xfe\xff")])
    with pytest.raises(UserError, match=r"x\.(tar|zip) is no readable archive"):
        contents(path, memo)


@pytest.mark.parametrize("damage", ["cut between members", "cut in a header", "a damaged header"])
def test_a_tar_does_not_end_silently_before_its_end(tmp_path, memo, damage):
    path = write_tar(tmp_path / "x.tar")
    with tarfile.open(path) as tar:
        at = tar.getmember("három.png").offset
    data = bytearray(path.read_bytes())
    data[at : at + 8] = b"\xff" * 8
    ends = {"cut between members": at, "cut in a header": at + 99, "a damaged header": len(data)}
    path.write_bytes(data[: ends[damage]])
    with pytest.raises(UserError, match=r"x\.tar is no readable archive"):
        contents(path, memo)


def test_links_in_a_tar_are_told(tmp_path, memo):
    path = write_tar(tmp_path / "x.tar")
    with tarfile.open(path, "a") as tar:
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.png")
            info.type, info.linkname = kind, "a/one.png"
            tar.addfile(info)
    found = contents(path, memo)
    for name in ("link1.png", "link2.png", "link3.png"):
        with pytest.raises(BadItem, match="a link or device in the archive"):
            found[name].read()


@pytest.mark.parametrize(("place", "value"), [(6, b"\xff"), (8, b"\x00\x08"), (42, b"\xff\xff\xff\x7f")])
def test_a_damaged_directory_of_a_zip_is_an_error_or_a_bad_member(tmp_path, memo, place, value):
    path = write_zip(tmp_path / "x.zip", {"\xff\xfe.png".encode("latin-1").decode("cp437"): b"x" * 100})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + place : at + place + len(value)] = value
    data[at + 46 : at + 48] = b"\xff\xfe"
    path.write_bytes(data)
    with pytest.raises((UserError, BadItem), match=r"readable archive|damaged member"):
        [content.read() for content in contents(path, memo).values()]


def test_an_encrypted_or_oddly_packed_member_is_bad_alone(tmp_path, memo):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("good.png", b"good")
        packed.writestr("odd.png", b"odd" * 50, zipfile.ZIP_LZMA)
    found = contents(path, memo)
    assert found["good.png"].read() == b"good"
    with pytest.raises(BadItem, match="pack it again"):
        found["odd.png"].read()


def test_a_member_that_does_not_unpack_to_its_size_is_bad(tmp_path, memo):
    path = write_zip(tmp_path / "x.zip", {"a.png": b"x" * 1000})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")  # its size, as the directory tells it
    path.write_bytes(data)
    with pytest.raises(BadItem, match="does not unpack to its size"):
        contents(path, memo)["a.png"].read()


def test_the_place_of_a_path(tmp_path):
    archive = write_tar(tmp_path / "x.tar")
    (tmp_path / "plain.zip").mkdir()
    assert place_of(archive / "a/one.png") == (str(archive), "a/one.png")
    assert place_of(tmp_path / "b.png") == (str(tmp_path / "b.png"), "")
    assert place_of(tmp_path / "plain.zip" / "c.png") == (str(tmp_path / "plain.zip" / "c.png"), "")


def test_content_that_changed_is_an_error(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    content = Content.in_file(str(path), digest([b"one"]))
    assert content.read() == b"one"
    path.write_bytes(b"two")
    with pytest.raises(UserError, match="changed while the project ran"):
        content.read()
    path.unlink()
    with pytest.raises(UserError, match="cannot be read any more"):
        content.read()


@pytest.mark.parametrize("listing", [b"", b"[[1, 2", b"7", b'[["a", 0]]', b'[{"a": 0}, 3]'])
def test_a_damaged_note_of_the_members_is_made_again(tmp_path, memo, listing):
    path = write_tar(tmp_path / "raw.tar")
    before = list_members(path, memo)
    memo.note_listing(file_identity(path, memo), listing)
    assert list_members(path, memo) == before
