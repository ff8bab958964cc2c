"""Frames of clips, good and bad; which sights of a person are kept."""

import io
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipeline.clips import Clip, Sight, choose, cut_out, glance, sharpness, steady
from pipeline.errors import BadItem
from tests.pipeline.encoding import encode, turned

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (64, 96, 3)).astype(np.uint8)


def grey(level):
    return np.full((64, 96, 3), level, np.uint8)


def frames_of(data, every=1, max_pixels=10**6):
    clip = Clip(data, max_pixels)
    return list(clip.frames(every)), clip.note


@pytest.mark.parametrize("container", ["mp4", "avi", "matroska", "mpegts"])
def test_every_third_frame_in_order(container):
    codec = "mpeg2video" if container == "mpegts" else "mpeg4"
    found, note = frames_of(encode([grey(20 * i) for i in range(10)], container=container, codec=codec), every=3)
    assert [number for number, _ in found] == [0, 3, 6, 9]
    for number, picture in found:
        assert picture.shape == (64, 96, 3)
        assert abs(picture.mean() - 20 * number) < 5
    assert not note


def test_frames_are_counted_whatever_their_times():
    found, _ = frames_of(encode([grey(20 * i) for i in range(6)], fps=25, pts=[0, 1, 9, 10, 60, 61]))
    assert [number for number, _ in found] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("degrees", "shape", "corner"),
    [(90, (96, 64), (5, -5)), (180, (64, 96), (-5, -5)), (270, (96, 64), (-5, 5))],
)
def test_a_turned_clip_stands_upright(degrees, shape, corner):
    """The red upper left corner goes where the turn takes it."""
    picture = grey(0)
    picture[:20, :30] = (255, 0, 0)
    ((_, first), *_), _ = frames_of(turned(encode([picture] * 3), degrees))
    assert first.shape[:2] == shape
    assert first[corner][0] > 150
    assert first[5, 5][0] < 100


def test_reading_twice_gives_the_same_bytes():
    data = encode([NOISE, 255 - NOISE, NOISE])
    first, second = frames_of(data)[0], frames_of(data)[0]
    assert all((a == b).all() for (_, a), (_, b) in zip(first, second, strict=True))


def test_a_clip_that_is_cut_off_gives_what_is_there():
    data = encode([RNG.integers(0, 255, (64, 96, 3)).astype(np.uint8) for _ in range(20)], container="avi")
    found, note = frames_of(data[: len(data) // 2])
    assert 5 <= len(found) < 20
    assert "damaged after" in note or "cut off" in note


def sound():
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/hostname\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no clip at all" * 100, "no clip that can be read"),
        (encode([NOISE] * 3)[:-300], "no clip that can be read"),
        (sound(), "only sound"),
        (PLAYLIST, "no clip that can be read"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "no clip that can be read"),
    ],
    ids=["empty", "text", "cut off", "sound", "playlist", "list of files"],
)
def test_bad_clips_say_why(data, reason):
    with pytest.raises(BadItem, match=reason):
        frames_of(data)


def test_a_huge_clip_is_refused_by_its_header():
    with pytest.raises(BadItem, match=r"96x64 is more than max_pixels \(6000\)"):
        frames_of(encode([NOISE]), max_pixels=6000)


def test_a_person_is_cut_out_with_a_margin_and_no_narrower_than_the_shape():
    picture = np.zeros((400, 600, 3), np.uint8)
    assert cut_out(picture, (300, 100, 320, 300)).shape == (
        260,
        178,
        3,
    )  # 0.6875 of 260 is 178.75, cut to whole pixels around 310
    assert cut_out(picture, (100, 100, 500, 300)).shape == (260, 520, 3)
    assert cut_out(picture, (0, 0, 20, 400)).shape[0] == 400
    assert max(cut_out(np.zeros((3000, 2000, 3), np.uint8), (500, 100, 1500, 2900)).shape) == 1024


def test_blur_takes_the_sharpness():
    blurred = np.asarray(Image.fromarray(NOISE).filter(ImageFilter.GaussianBlur(2)))
    assert sharpness(blurred) < 0.1 * sharpness(NOISE)


def sight(frame, *, sharp=100.0, level=0.5, box=(0, 0, 40, 100)):
    return Sight(frame, box, sharp, glance(grey(round(255 * level))))


def test_blurred_and_repeated_pictures_are_left_out():
    sights = [sight(0, level=0.1), sight(5, level=0.105), sight(10, level=0.11), sight(15, level=0.2)]
    sights += [sight(20, level=0.4, sharp=30), sight(25, level=0.6), sight(30, level=0.1)]
    kept, left_out = choose(sights, min_sharpness=0.4, min_change=0.05)
    assert [each.frame for each in kept] == [0, 15, 25, 30]
    reasons = {each.frame: reason for each, reason in left_out}
    assert set(reasons) == {5, 10, 20}
    assert "nearly frame 0 again" in reasons[5]
    assert "blurred: 0.30" in reasons[20]


def test_a_box_without_legs_is_as_high_as_its_neighbours():
    sights = [sight(frame) for frame in range(7)]
    sights[3] = replace(sights[3], box=(0, 0, 40, 55))
    assert steady(sights)[3].box == (0, 0, 40, 100)
    assert steady(sights)[0].box == (0, 0, 40, 100)
