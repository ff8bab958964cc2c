"""In-shop pictures as a tree, flattened, and in archives; splits of the published lists."""

import io
import itertools
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pipeline.crops import find_move
from pipeline.errors import BadItem, UserError
from pipeline.sources import Options, read
from pipeline.sources.pictures import load_picture

TREE = (
    "WOMEN/Blouses_Shirts/id_00000693/02_1_front.jpg",
    "WOMEN/Blouses_Shirts/id_00000693/02_3_back.jpg",
    "WOMEN/Blouses_Shirts/id_00000694/02_1_front.jpg",
    "MEN/Denim/id_00000080/01_7_additional.jpg",
    "MEN/Denim/id_00000080/02_7_additional.jpg",
)
PERSONS = [
    "fashionMENDenimid0000008001",
    "fashionMENDenimid0000008002",
    "fashionWOMENBlouses_Shirtsid0000069302",
    "fashionWOMENBlouses_Shirtsid0000069402",
]
OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "realdata" / "official_lists"


def picture(size=(256, 256)):
    out = io.BytesIO()
    Image.new("RGB", size, (200, 10, 10)).save(out, "JPEG")
    return out.getvalue()


def flat(name, prefix="fashion"):
    gender, category, item, rest = name.split("/")
    colour, view, what = rest.split("_")
    category = category if prefix == "fashion" else category.replace("_", "")
    return f"{prefix}{gender}{category}{item.replace('_', '')}{colour}_{view}{what}"


def put(folder, names, data=None):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data or picture())


def pack(path, names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, picture())


def persons(source):
    return sorted({entry.person for entry in source.entries})


@pytest.mark.parametrize("home", ["", "img/", "img_highres/", "In-shop/img/"])
def test_the_tree_gives_persons_by_gender_category_item_and_number(tmp_path, home):
    put(tmp_path, [home + name for name in TREE])
    source = read("deepfashion", tmp_path)
    assert persons(source) == PERSONS
    assert {entry.pose for entry in source.entries} == {"1front", "3back", "7additional"}
    assert not source.set_aside


@pytest.mark.parametrize("prefix", ["fashion", "fasion"])
def test_flattened_names_of_both_spellings(tmp_path, prefix):
    put(tmp_path, [flat(name, prefix) for name in TREE])
    source = read("deepfashion", tmp_path)
    expected = PERSONS if prefix == "fashion" else [name.replace("_", "") for name in PERSONS]
    assert persons(source) == expected


@pytest.mark.parametrize("inside", ["img/", "", "Img/img/"])
def test_a_zip_is_read_in_place_with_the_lists_beside_it(tmp_path, inside):
    pack(tmp_path / "img.zip", [inside + name for name in TREE])
    (tmp_path / "train.lst").write_text("\n".join(flat(name) for name in TREE[:2]) + "\r\n")
    (tmp_path / "test.lst").write_text("\n".join(flat(name) for name in TREE[2:]))
    (tmp_path / "fasion-resize-pairs-train.csv").write_text(f"from,to\n{flat(TREE[0])},{flat(TREE[1], 'fasion')}\n")
    source = read("deepfashion", tmp_path)
    assert persons(source) == PERSONS
    assert Counter(entry.split for entry in source.entries) == {"train": 2, "test": 3}
    assert len(source.pairs) == 1
    assert all(load_picture(tmp_path, entry.path) == picture() for entry in source.entries)


def test_raw_may_be_the_zip_itself(tmp_path):
    pack(tmp_path / "img_highres.zip", ["img_highres/" + name for name in TREE])
    assert persons(read("deepfashion", tmp_path / "img_highres.zip")) == PERSONS


def test_a_zip_with_a_password_says_what_to_do(tmp_path):
    """As the data set's owners give it out."""
    path = tmp_path / "img.zip"
    pack(path, TREE)
    data = bytearray(path.read_bytes())
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(head)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(head, at + 4)
    path.write_bytes(data)
    for raw in (tmp_path, path):
        with pytest.raises(UserError, match=r"img\.zip.*locked with a password .*unpack the archive and set raw"):
            read("deepfashion", raw)
    put(tmp_path / "img", TREE)  # unpacked beside it
    source = read("deepfashion", tmp_path)
    assert (len(source.entries), [name for name, _ in source.set_aside]) == (len(TREE), ["img.zip"])


def test_pair_lists_give_the_split_where_there_is_no_picture_list(tmp_path):
    put(tmp_path, TREE)
    (tmp_path / "fashion-pairs-test.csv").write_text(f"from,to\n{flat(TREE[3])},{flat(TREE[4])}\n")
    splits = {entry.person: entry.split for entry in read("deepfashion", tmp_path).entries}
    assert splits == dict(zip(PERSONS, ["test", "test", None, None], strict=True))


def test_a_picture_that_no_list_names_goes_with_its_person(tmp_path):
    put(tmp_path, TREE)
    (tmp_path / "test.lst").write_text(flat(TREE[0]))
    split = {entry.id: entry.split for entry in read("deepfashion", tmp_path).entries}
    assert split[TREE[1][:-4]] == "test"
    assert split[TREE[2][:-4]] is None


def test_other_names_are_set_aside(tmp_path):
    put(tmp_path, [*TREE, "logo.png"])
    ((name, reason),) = read("deepfashion", tmp_path).set_aside
    assert name == "logo.png"
    assert "id_XXXXXXXX" in reason


def test_the_same_pictures_in_two_sizes_stop_with_a_remedy(tmp_path):
    put(tmp_path, ["img/" + name for name in TREE])
    pack(tmp_path / "img_highres.zip", ["img_highres/" + name for name in TREE])
    with pytest.raises(UserError, match="keep img or img_highres, not both"):
        read("deepfashion", tmp_path, Options(domain="source"))


def test_both_crops_of_the_field_and_the_reason_where_one_does_not_fit():
    assert find_move("columns", (256, 256), (176, 256)).taken == (40, 0, 216, 256)
    whole = find_move("resize", (750, 1101), (176, 256))
    assert (whole.taken, whole.filled) == ((0, 0, 750, 1101), (0, 0, 176, 256))
    with pytest.raises(BadItem, match=r"750x1101: crop.mode columns .* set crop.mode to resize"):
        find_move("columns", (750, 1101), (176, 256))


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the real pictures are not here")
def test_the_real_pictures_and_their_pairs():
    source = read("deepfashion", OFFICIAL.parent / "deepfashion")
    assert len(source.entries) == len(source.annotations) == 38
    assert len(source.pairs) == 22
    assert not source.set_aside


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official lists are not here")
@pytest.mark.parametrize("splits", [["test"], pytest.param(["train", "test"], marks=pytest.mark.slow)])
def test_the_official_lists_on_the_tree(tmp_path, splits):
    """Names alone: every picture is one byte in a zip, its name in the tree's spelling."""
    names = {split: (OFFICIAL / f"{split}.lst").read_text().split() for split in splits}
    with zipfile.ZipFile(tmp_path / "img.zip", "w") as file:
        for name in itertools.chain(*names.values()):
            gender = "WOMEN" if name.startswith("fashionWOMEN") else "MEN"
            category, _, rest = name.removeprefix(f"fashion{gender}").rpartition("id0")
            folder = f"img/{gender}/{category}/id_0{rest[:7]}"
            file.writestr(f"{folder}/{rest[7:11]}_{rest[11:]}".replace("__", "_"), b"x")
    for name in ("train.lst", "test.lst", "fashion-pairs-test.csv"):
        (tmp_path / name).write_text((OFFICIAL / name).read_text())
    source = read("deepfashion", tmp_path)
    counts = {"train": 48_674, "test": 4_038}
    assert Counter(entry.split for entry in source.entries) == {split: counts[split] for split in splits}
    assert len(source.pairs) == 8_570
    assert not source.pairs_set_aside
    assert not source.set_aside
