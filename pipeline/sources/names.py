"""Who is on a picture, by its name; and how a list's spelling of a name finds the picture.

The person of a picture, first rule that fits:

1. A name of the field. DeepFashion: gender, category, item and colour, in the tree's spelling
   (`WOMEN/Dresses/id_00000693/02_3_back`), flattened (`fashionWOMENDressesid0000069302_3back`) or in Deformable GAN's
   (`fasion...`, no underscores in the category). Market-1501: `0007_c2s3_070952_01` shows person 0007.
2. A picture in a sub-folder shows the person that the folder is named after: `mage/idle_front`.
3. Text before the first underscore, or else before the first blank: `mage_idle_front` shows `mage`.
4. The whole name: a person with one picture.

`train/`, `val/` or `test/` as the first folder gives the split and is no part of the rest.
"""

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")

_DEEPFASHION = re.compile(
    r"^fash?ion(?P<gender>WOMEN|MEN)(?P<category>.+?)id_?(?P<item>\d{8})_?(?P<colour>\d{2})_(?P<view>\d_?[a-z]+)$"
)
_DEEPFASHION_TREE = re.compile(
    r"(?:^|/)(?P<gender>WOMEN|MEN)/(?P<category>[^/]+)/id_(?P<item>\d{8})/(?P<colour>\d{2})_(?P<view>\d_[a-z]+)$"
)
_MARKET = re.compile(r"^(?P<person>-1|\d{4})_(?P<pose>c\ds\d_\d{6}_\d{2})$")
_SPLIT_FOLDERS = {
    "train": "train",
    "bounding_box_train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "bounding_box_test": "test",
    "query": "test",
}
# Eighteen pictures of Market-1501 are called .jpg.jpg, and arrays of the field .jpg.npy.
_KNOWN_SUFFIX = re.compile("(" + "|".join(re.escape(suffix) for suffix in (*PICTURE_SUFFIXES, ".npy")) + ")+$", re.I)


def without_suffix(name: str) -> str:
    """The name without the extensions of a picture or array; other dots stay. Unicode in one normal form."""
    return unicodedata.normalize("NFC", _KNOWN_SUFFIX.sub("", name.strip()))


def split_of_folder(stem: str) -> tuple[str | None, str]:
    """(split or None, the rest): `train/mage_idle` -> ("train", "mage_idle")."""
    first, _, rest = stem.partition("/")
    split = _SPLIT_FOLDERS.get(first.lower()) if rest else None
    return (split, rest) if split else (None, stem)


def person_and_pose(stem: str) -> tuple[str, str]:
    """Who and in which pose, from a path without extension; the rules of this module's head. The pose may be empty."""
    if found := _deepfashion(stem):
        return f"fashion{found['gender']}{found['category']}id{found['item']}{found['colour']}", _view(found)
    folder, _, name = stem.rpartition("/")
    if found := _MARKET.match(name):
        return found["person"], found["pose"]
    if folder:
        return folder, name
    person, _, pose = name.partition("_" if "_" in name else " ")
    return (person, pose) if person else (name, "")


def is_deepfashion(stem: str) -> bool:
    """Whether this is a name of DeepFashion's, in the tree's spelling or flattened."""
    return _deepfashion(stem) is not None


def market_person(stem: str) -> str | None:
    """The person of a name of Market-1501's, PPPP_cCsS_FFFFFF_BB; None for other names."""
    found = _MARKET.match(PurePosixPath(stem).name)
    return found["person"] if found else None


def is_distractor(stem: str) -> bool:
    """Whether this is one of Market-1501's pictures that show no person of the set (ids -1 and 0000)."""
    return market_person(stem) in ("-1", "0000")


def _deepfashion(stem: str) -> re.Match[str] | None:
    if "MEN" not in stem:
        return None
    return _DEEPFASHION.match(posixpath.basename(stem)) or _DEEPFASHION_TREE.search(stem)


def _view(found: re.Match[str]) -> str:
    return found["view"].replace("_", "")


def _spelling(stem: str) -> str:
    """The path itself; all of DeepFashion's spellings of one picture give one."""
    if found := _deepfashion(stem):
        category = found["category"].replace("_", "")
        return f"fashion{found['gender']}{category}id{found['item']}{found['colour']}_{_view(found)}"
    return stem


class Names:
    """Finds pictures by the names that lists use: file name or path, any extension, any spelling of the field."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for item_id in ids:
            spelling = _spelling(item_id)
            self._ids[posixpath.basename(spelling)].append((spelling, item_id))

    def find(self, name: str, split: str | None = None) -> str:
        """The id of the picture called `name`; LookupError says why not: there is none, or more than one.

        A list may name more folders than there are here, or fewer; those that both name must agree. Of copies in
        `train/` and `test/`, as the field's programs need them, it is the one in the folder of `split`, or the first.
        """
        return self.find_copies(name, split)[0]

    def find_copies(self, name: str, split: str | None = None) -> list[str]:
        """The id of the picture called `name`, and of its copies in folders of other splits; those of `split` alone.

        LookupError as for `find`.
        """
        wanted = _spelling(without_suffix(name.replace("\\", "/")))
        same, found = [], []
        for spelling, item_id in self._ids.get(posixpath.basename(wanted), ()):
            if spelling == wanted:
                same.append(item_id)
            elif spelling.endswith(f"/{wanted}") or wanted.endswith(f"/{spelling}"):
                found.append(item_id)
        found = same or found
        if not found:
            raise LookupError("there is no such picture")
        if len({split_of_folder(item_id)[1] for item_id in found}) > 1:
            first, second, *_ = found
            raise LookupError(f"the name fits {len(found)} pictures, {first} and {second} among them")
        return [item_id for item_id in found if split and split_of_folder(item_id)[0] == split] or found
