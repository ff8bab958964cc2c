"""What of a pack is exported, and what the files are called."""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.people.twins import ENDING, original_of
from pipeline.sources.names import person_and_pose

# Put around what takes long, with a title.
Track = Callable[[Iterable[Any], str], Iterable[Any]]

FIELD_SIZE = (176, 256)

_FASHION = re.compile(r"fashion(WOMEN|MEN).+id0\d{9}_\d[a-z]+")
_TWIN = "flip"


@dataclass(frozen=True)
class Selection:
    """Pictures and pairs of some splits of a pack; `split_of` has the split of every picture by name."""

    pack: Pack
    splits: Sequence[str]
    split_of: Mapping[str, str]

    def home(self, split: str) -> list[int]:
        """Rows of the pictures that belong to the split."""
        return [row for row, name in enumerate(self.pack.names) if self._split(name) == split]

    def needed(self, split: str) -> list[int]:
        """Rows of the pictures that belong to the split or that its pairs name."""
        return sorted({*self.home(split), *self.pack.pairs(split).ravel().tolist()})

    def pairs(self, split: str) -> list[tuple[int, int]]:
        """(from, to) rows of each pair, in the pack's order."""
        return [(int(start), int(end)) for start, end in self.pack.pairs(split)]

    @property
    def kept(self) -> list[str]:
        """The splits that have a picture."""
        return [split for split in self.splits if self.needed(split)]

    @cached_property
    def fashion_names(self) -> list[str]:
        """File stems by row in DeepFashion's flattened form, which the field's programs take apart.

        Pictures that are called otherwise get a made-up name of the form; of one person all but the view is the same.
        """
        persons = {person: number for number, person in enumerate(sorted(set(self.pack.persons)), start=1)}
        poses: dict[str, int] = {}
        names: dict[str, None] = {}
        known = set(self.pack.names)
        for name, person in zip(self.pack.names, self.pack.persons, strict=True):
            original, mirrored = _original_of(name, known)
            stem = "_".join(person_and_pose(original)) + (_TWIN if mirrored else "")
            if not _FASHION.fullmatch(stem) or stem in names:
                poses[person] = poses.get(person, 0) + 1
                stem = f"fashionWOMENOthersid{persons[person]:08d}01_1{_letters(poses[person])}"
            names[stem] = None
        return list(names)

    @cached_property
    def plain_names(self) -> list[str]:
        """File stems by row: the pictures' names with nothing in them that a file system might mind."""
        names: dict[str, None] = {}
        known = set(self.pack.names)
        for name in self.pack.names:
            original, mirrored = _original_of(name, known)
            name = original + (_TWIN if mirrored else "")
            parts = [re.sub(r"[^\w .~+=@,-]", "_", part).strip() for part in name.split("/")]
            stem = "/".join(re.sub(r"^\.|[ .]$", "_", part) or "_" for part in parts)
            count = 1
            while (stem if count == 1 else f"{stem}_{count}") in names:
                count += 1
            names[stem if count == 1 else f"{stem}_{count}"] = None
        return list(names)

    def check_size(self, layout: str) -> None:
        """UserError unless the pictures are 176x256, which the layout's program counts on."""
        if self.pack.size != FIELD_SIZE:
            size = "x".join(map(str, self.pack.size))
            raise UserError(
                f"--layout {layout} is for pictures of 176x256, these are {size}: set crop.width and height"
            )

    def _split(self, name: str) -> str | None:
        return self.split_of.get(name) or self.split_of.get(original_of(name, self.split_of)[0])


def _original_of(name: str, known: Container[str]) -> tuple[str, bool]:
    """(the picture that this one of a pack is, whether it is a mirrored twin)."""
    original = name.removesuffix(ENDING)
    return (original, True) if original != name and original in known else (name, False)


def _letters(number: int) -> str:
    """1 -> a, 26 -> z, 27 -> aa."""
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("a") + digit) + text
    return text
