import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.imports import ROOT
from pipeline.people import heatmaps, labels, skeleton
from stages import drawing, sheets


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(60, 200, (256, 176, 3), dtype=np.uint8)


@pytest.fixture
def joints():
    joints = skeleton.empty()
    joints[skeleton.NECK] = (88, 60, 0.9)
    joints[skeleton.LEFT_SHOULDER] = (118, 64, 0.9)
    joints[skeleton.RIGHT_WRIST] = (40, 200, 0.1)
    return joints


@given(st.sets(st.text(min_size=1, max_size=5), max_size=60), st.integers(2, 30), st.randoms())
def test_the_choice_is_even_and_does_not_depend_on_the_order(ids, count, random):
    mixed = list(ids)
    random.shuffle(mixed)
    chosen = sheets.choose(mixed, count)
    assert chosen == sheets.choose(sorted(ids), count)
    assert len(chosen) == min(count, len(ids))
    if ids:
        places = [sorted(ids).index(name) for name in chosen]
        assert (places[0], places[-1]) == (0, len(ids) - 1)
        assert max(np.diff(places), default=0) - min(np.diff(places), default=0) <= 1


def test_missing_joints_leave_the_picture_alone(picture):
    assert np.array_equal(drawing.draw_skeleton(picture, skeleton.empty()), picture)


def test_joints_show_the_side_of_the_body_and_unsure_ones_are_hollow(picture, joints):
    drawn = drawing.draw_skeleton(picture, joints)
    assert tuple(drawn[64, 118]) == drawing.LEFT
    assert tuple(drawn[60, 88]) == drawing.CENTRE
    assert np.array_equal(drawn[200, 40], picture[200, 40])
    assert not np.array_equal(drawn[195:206, 35:46], picture[195:206, 35:46])
    # Between neck and shoulder runs the limb; the wrist has no elbow to be joined to.
    assert tuple(drawn[62, 103]) == drawing.LEFT
    assert np.array_equal(drawn[100:190], picture[100:190])


def test_an_enlarged_skeleton_keeps_its_place(picture, joints):
    drawn = drawing.draw_skeleton(picture, joints, scale=2)
    assert drawn.shape == (512, 352, 3)
    assert tuple(drawn[round(64.5 * 2), round(118.5 * 2)]) == drawing.LEFT


def test_heat_is_white_at_the_peak_and_the_picture_is_dim_elsewhere(picture, joints):
    heat = heatmaps.to_uint8(heatmaps.render(joints, width=176, height=256))[skeleton.NECK]
    drawn = drawing.draw_heat(picture, heat, drawing.CENTRE)
    assert tuple(drawn[60, 88]) == (255, 255, 255)
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    assert np.array_equal(drawn[heat == 0], np.rint(grey[heat == 0] * 0.42 + 10)[:, None].repeat(3, 1))


def test_labels_have_the_palette_and_leave_the_background_clear(picture):
    parsed = np.zeros((256, 176), np.uint8)
    parsed[50:100] = labels.SKIRT
    assert np.array_equal(drawing.draw_labels(parsed), labels.paint(parsed))
    over = drawing.draw_labels(parsed, picture, opacity=0.5)
    assert np.array_equal(over[:50], picture[:50])
    expected = (picture[60, 60].astype(float) + labels.PALETTE[labels.SKIRT]) / 2
    assert np.abs(over[60, 60] - expected).max() <= 0.5


def test_the_mask_keeps_the_person_and_pales_the_rest(picture):
    mask = np.zeros((256, 176), np.uint8)
    mask[100:150, 50:90] = 1
    drawn = drawing.draw_mask(picture, mask)
    assert np.array_equal(drawn[mask == 1], picture[mask == 1])
    assert drawn[mask == 0].min() >= 190


def _every_section(picture, joints):
    maps = heatmaps.to_uint8(heatmaps.render(joints, width=176, height=256))
    images, parsed = {"a": picture, "b": picture[::-1]}, np.full((256, 176), labels.LEG, np.uint8)
    return [
        sheets.pictures(images),
        sheets.skeletons(images, {"a": joints, "b": joints}),
        sheets.heat_maps(picture, maps, joints=joints),
        sheets.label_maps(images, {"a": parsed, "b": parsed}),
        sheets.edge_maps(images, {"a": parsed, "b": parsed}),
        sheets.pair_rows(images, {"b": joints}, [("a", "b")]),
    ]


def test_the_same_input_gives_the_same_bytes(tmp_path, picture, joints):
    for name in ("one.png", "two.png"):
        sheets.write_sheet(tmp_path / "new" / name, "Everything", _every_section(picture, joints), subtitle="twice")
    one, two = ((tmp_path / "new" / name).read_bytes() for name in ("one.png", "two.png"))
    assert one == two
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["one.png", "two.png"]


def test_tiles_shrink_until_the_sheet_is_small_enough(tmp_path, picture):
    # Noise does not compress: 24 such tiles are 3 MB at full size.
    section = sheets.pictures({f"{index:02d}": np.roll(picture, index) for index in range(24)})
    sheets.write_sheet(tmp_path / "sheet.png", "Noise", [section])
    assert (tmp_path / "sheet.png").stat().st_size <= 1_000_000
    assert Image.open(tmp_path / "sheet.png").width > 300


def test_a_missing_joint_is_named_under_its_heat_map(picture, joints):
    maps = heatmaps.to_uint8(heatmaps.render(joints, width=176, height=256))
    captions = [tile.caption for tile in sheets.heat_maps(picture, maps, joints=joints).tiles]
    assert captions[:3] == ["no nose", "neck 0.90", "no right shoulder"]


@pytest.mark.parametrize("name", ["x" * 300, "two\nlines", "\u202eevil", "", "名前" * 40])
def test_captions_stay_under_their_tiles(picture, name):
    tiles = [sheets.Tile(picture, name), sheets.Tile(picture, "b")]
    drawn = np.asarray(sheets.contact_sheet("t", [sheets.Section(tiles)]))
    top = 28 + 46 + 256
    gap = drawn[top:, 28 + 176 : 28 + 176 + 10]
    assert (gap == sheets.PAPER).all()
    assert len(tiles[0].caption) == 0 or (drawn[top : top + 18, 28:204] != sheets.PAPER).any()


def test_an_empty_sheet_says_so(tmp_path):
    sheets.write_sheet(tmp_path / "sheet.png", "Nothing", [sheets.pictures({})])
    assert Image.open(tmp_path / "sheet.png").size[1] < 200


def test_pictures_of_any_shape_fit_their_tiles():
    images = {"wide": np.zeros((10, 400, 3), np.uint8), "tall": np.zeros((400, 10, 3), np.uint8)}
    grey = sheets.Tile(np.zeros((5, 5), np.uint8), "grey")
    section = sheets.pictures(images)
    sheet = sheets.contact_sheet("Shapes", [sheets.Section([*section.tiles, grey])])
    assert sheet.width <= 3 * 5 * 256 + 2 * 28 + 20


def test_sheets_bring_no_heavy_library():
    code = "import sys, stages.sheets; sys.exit(bool({'torch', 'h5py', 'matplotlib', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
