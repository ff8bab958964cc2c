"""Which clips there are, who is in them, and which stretch of a clip is held out."""

from collections import Counter

import pytest

from pipeline.errors import UserError
from pipeline.sources import read
from pipeline.sources.entries import Entry
from pipeline.sources.video import hold_out_ends


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_a_sub_folder_is_one_person_and_a_clip_beside_it_is_not(tmp_path):
    put(tmp_path, "walk.mp4", "anna/cam1.MOV", "anna/cam2.avi", "test/ben/cam1.mkv", "notes.txt", ".hidden.mp4")
    source = read("video", tmp_path)
    assert [(entry.id, entry.person, entry.split) for entry in source.entries] == [
        ("anna/cam1", "anna", None),
        ("anna/cam2", "anna", None),
        ("test/ben/cam1", "ben", "test"),
        ("walk", "", None),
    ]
    assert source.notes == ["files that are no clips were ignored: 1 x .txt"]


def test_raw_may_be_one_clip(tmp_path):
    put(tmp_path, "walk.mp4", "other.mp4")
    (entry,) = read("video", tmp_path / "walk.mp4").entries
    assert (entry.id, entry.path, entry.person) == ("walk", "walk.mp4", "")


def test_what_cannot_be_used_is_set_aside(tmp_path):
    put(tmp_path, "walk.avi", "walk.mp4", "bad\nname.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "walk.mp4")
    reasons = dict(read("video", tmp_path).set_aside)
    assert set(reasons) == {"walk.mp4", "bad\\nname.mp4", "link.mp4"}
    assert "same name as walk.avi" in reasons["walk.mp4"]


@pytest.mark.parametrize(("name", "reason"), [("a.png", "holds no clips"), ("", "holds no clips")])
def test_no_clips_at_all_names_the_parameter(tmp_path, name, reason):
    put(tmp_path, *[name] if name else [])
    with pytest.raises(UserError, match=rf"{reason}.*domains\.source\.raw"):
        read("video", tmp_path)


def test_where_every_clip_is_set_aside_the_message_says_why(tmp_path):
    (tmp_path / "walk.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    with pytest.raises(UserError, match=r"holds no clips .*source\.raw: walk\.mp4: a link, .* copy the clip itself"):
        read("video", tmp_path)


def test_a_file_that_is_no_clip_is_refused(tmp_path):
    put(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"is no folder or clip: set domains\.source\.raw"):
        read("video", tmp_path / "a.png")


def stretch(clip, count, person="anna", split=None):
    return [Entry(f"{clip}/p1/{5 * i:06d}", "", person, "", split) for i in range(count)]


def test_the_end_of_every_clip_is_held_out():
    held = hold_out_ends(stretch("cam1", 10) + stretch("cam2", 20), val=0.1, test=0.2)
    by_clip = {"cam1": "", "cam2": ""}
    for entry in held:
        by_clip[entry.id[:4]] += entry.split[1]  # t(r)ain, v(a)l, t(e)st
    assert by_clip == {"cam1": "r" * 7 + "a" + "ee", "cam2": "r" * 14 + "aa" + "eeee"}


@pytest.mark.parametrize(("count", "expected"), [(2, "rr"), (3, "rre"), (4, "rrae"), (5, "rrrae")])
def test_short_clips_keep_two_pictures_to_train_on(count, expected):
    held = hold_out_ends(stretch("cam1", count), val=0.1, test=0.2)
    assert "".join(entry.split[1] for entry in held) == expected


def test_a_split_of_a_folder_stays():
    held = hold_out_ends(stretch("cam1", 10, split="test"), val=0.1, test=0.2)
    assert Counter(entry.split for entry in held) == {"test": 10}


def test_many_persons_are_held_out_as_wholes_later():
    entries = [entry for n in range(10) for entry in stretch(f"clip{n}", 5, person=str(n))]
    assert {entry.split for entry in hold_out_ends(entries, val=0.1, test=0.2)} == {None}
