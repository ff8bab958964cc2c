"""Who is on a picture, and which picture a list means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.names import Names, is_distractor, person_and_pose, split_of_folder, without_suffix

BLOUSE = "fashionWOMENBlouses_Shirtsid0000069302"
SPELLINGS = [
    "fashionWOMENBlouses_Shirtsid0000069302_3back.jpg",
    "fasionWOMENBlousesShirtsid0000069302_3back.jpg",
    "fashionWOMENBlousesShirtsid0000069302_3back.png",
    "WOMEN/Blouses_Shirts/id_00000693/02_3_back.jpg",
    "img/WOMEN/Blouses_Shirts/id_00000693/02_3_back.jpg",
    "fashion_resize/test/fashionWOMENBlouses_Shirtsid0000069302_3back.jpg",
]


@pytest.mark.parametrize(
    ("stem", "person", "pose"),
    [
        ("fashionWOMENBlouses_Shirtsid0000069302_3back", BLOUSE, "3back"),
        ("fasionWOMENBlousesShirtsid0000069302_3back", "fashionWOMENBlousesShirtsid0000069302", "3back"),
        ("WOMEN/Blouses_Shirts/id_00000693/02_3_back", BLOUSE, "3back"),
        ("fashionMENTees_Tanksid0000730104_7additional", "fashionMENTees_Tanksid0000730104", "7additional"),
        ("0007_c2s3_070952_01", "0007", "c2s3_070952_01"),
        ("mage_idle_front", "mage", "idle_front"),
        ("mage/idle_front", "mage", "idle_front"),
        ("heroes/mage/idle", "heroes/mage", "idle"),
        ("sylvie blue giggle", "sylvie", "blue giggle"),
        ("2_A", "2", "A"),
        ("0001", "0001", ""),
        ("_odd", "_odd", ""),
    ],
)
def test_person_and_pose(stem, person, pose):
    assert person_and_pose(stem) == (person, pose)


def test_items_of_one_category_are_different_persons():
    """Text before the first underscore, which the published pair makers take, would make them one."""
    assert (
        person_and_pose("fashionWOMENBlouses_Shirtsid0000069302_3back")[0]
        != (person_and_pose("fashionWOMENBlouses_Shirtsid0000337203_3back")[0])
    )


def test_markets_distractors():
    assert is_distractor("0000_c1s3_022226_03")
    assert is_distractor("test/-1_c1s1_000401_03")
    assert not is_distractor("0007_c2s3_070952_01")
    assert not is_distractor("0000_front")


def test_split_folders():
    assert split_of_folder("train/mage_idle") == ("train", "mage_idle")
    assert split_of_folder("Validation/mage/idle") == ("val", "mage/idle")
    assert split_of_folder("mage/idle") == (None, "mage/idle")
    assert split_of_folder("train") == (None, "train")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("item_id", [without_suffix(name) for name in SPELLINGS[:4]])
def test_every_spelling_of_deepfashion_finds_the_picture(item_id, spelling):
    others = ["fashionWOMENBlouses_Shirtsid0000069302_4full", "fashionWOMENBlouses_Shirtsid0000069303_3back"]
    assert Names([item_id, *others]).find(spelling) == item_id


@given(st.lists(st.text("ab./_ ", min_size=1, max_size=8).map(without_suffix), unique=True, max_size=8))
def test_every_picture_is_found_by_its_own_path(ids):
    ids = [item_id for item_id in ids if item_id and not item_id.endswith("/")]
    names = Names(ids)
    for item_id in ids:
        assert names.find(f"{item_id}.png") == item_id


def test_the_extension_does_not_count_and_other_dots_do():
    names = Names(["a.b", "c"])
    assert names.find("a.b") == names.find("a.b.JPG") == names.find(" a.b.jpg ") == "a.b"
    assert names.find("c.npy") == "c"
    with pytest.raises(LookupError):
        names.find("a.jpg")


def test_folders_that_both_name_must_agree():
    names = Names(["mage/idle", "rogue/idle", "rogue/sit", "train/run"])
    assert names.find("mage/idle.png") == "mage/idle"
    assert names.find("/somewhere/images/mage/idle.png") == "mage/idle"
    assert names.find("rogue\\sit.png") == "rogue/sit"
    assert names.find("sit.png") == "rogue/sit"
    with pytest.raises(LookupError, match="fits 2 pictures, mage/idle and rogue/idle"):
        names.find("idle.png")
    for absent in ("mage/sit.png", "test/run.png", "../../etc/passwd", ""):
        with pytest.raises(LookupError, match="no such picture"):
            names.find(absent)


def test_letters_with_accents_match_however_they_are_stored():
    assert Names([without_suffix("Zo\u00eb_1.png")]).find("Zoe\u0308_1.jpg") == "Zo\u00eb_1"
