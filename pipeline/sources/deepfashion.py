"""Source `deepfashion`: the In-shop Clothes pictures, as distributed or flattened, with the field's lists beside them.

    raw/img/WOMEN/Dresses/id_00000002/02_1_front.jpg            the tree (img_highres/ likewise), or
    raw/fashionWOMENDressesid0000000202_1front.jpg              flattened; also in Deformable GAN's spelling `fasion...`
    raw/img.zip, raw/img_highres.zip                            read in place; raw may be such a file itself
    raw/train.lst, raw/test.lst                                 one name a line: the published split
    raw/*.csv, label maps                                       as in a folder

The person of a picture is gender, category, item and number: the same clothes on the same model. Names match by stem,
in every spelling.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from pipeline.archives import SUFFIXES, layout
from pipeline.errors import UserError
from pipeline.sources import folder
from pipeline.sources.entries import Entry, Options, RawSource
from pipeline.sources.names import Names, is_deepfashion
from pipeline.sources.pair_lists import split_in_name
from pipeline.sources.tables import find_table

NAME = "GENDER/Category/id_XXXXXXXX/NN_V_view.jpg, or fashionGENDERCategoryidXXXXXXXXNN_Vview.jpg"


def read(raw: Path, options: Options) -> RawSource:
    """The pictures with the splits that the lists give; UserError where the same pictures lie there in two sizes."""
    source = folder.read(raw, replace(options, nested_archives=True))
    set_aside = _without_doubles(raw, source, options)
    known = [entry for entry in source.entries if is_deepfashion(entry.id)]
    named = {entry.id for entry in known}
    set_aside += [
        (entry.path, f"no name of DeepFashion's: {NAME}") for entry in source.entries if entry.id not in named
    ]
    splits, notes = _listed_splits(raw, Names(named))
    for start, end, split in source.pairs:
        if split:
            splits.setdefault(start, split)
            splits.setdefault(end, split)
    return replace(
        source,
        entries=_with_splits(known, splits),
        set_aside=set_aside,
        annotations={key: joints for key, joints in source.annotations.items() if key in named},
        pairs=[pair for pair in source.pairs if pair[0] in named and pair[1] in named],
        notes=source.notes + notes,
    )


def _without_doubles(raw: Path, source: RawSource, options: Options) -> list[tuple[str, str]]:
    """What the folder set aside; UserError when half of the pictures or more are there twice."""
    doubles = [name for name, reason in source.set_aside if reason.startswith("has the same name as")]
    if len(doubles) * 2 >= len(source.entries):
        raise UserError(
            f"{raw}: {len(doubles)} pictures are there twice, {doubles[0]} for one: keep img or img_highres, not both, "
            f"or set domains.{options.domain}.raw to the folder of one of them"
        )
    return list(source.set_aside)


def _with_splits(entries: list[Entry], splits: dict[str, str]) -> list[Entry]:
    """The entries with the split of the lists, else of their folder, else of their person's other pictures."""
    of_person: dict[str, str] = {}
    for entry in entries:
        if split := splits.get(entry.id, entry.split):
            of_person.setdefault(entry.person, split)
    return [replace(entry, split=splits.get(entry.id, entry.split) or of_person.get(entry.person)) for entry in entries]


def _listed_splits(raw: Path, names: Names) -> tuple[dict[str, str], list[str]]:
    """train, val or test by id from the `.lst` files, and what to say of them."""
    splits: dict[str, str] = {}
    notes = []
    for path in _lists(raw):
        split = split_in_name(path)
        if split is None:
            notes.append(f"{path}: not used, its name says neither train nor val nor test")
            continue
        with find_table(raw, path).open(encoding="utf-8-sig", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        states: Counter[str] = Counter()
        for line in lines:
            try:
                states["given" if splits.setdefault(names.find(line), split) == split else "listed before"] += 1
            except LookupError:
                states["absent"] += 1
        told = f"{path}: {states['given']} of {len(lines)} names are pictures of this source, for {split}"
        notes.append(told + (f"; {states['listed before']} are in another list too" if states["listed before"] else ""))
    return splits, notes


def _lists(raw: Path) -> list[str]:
    if raw.is_file() and raw.suffix.lower() in SUFFIXES:
        return sorted(member.name for member in layout(raw) if member.name.lower().endswith(".lst"))
    found = [*raw.glob("*.lst"), *raw.glob("*/*.lst")]
    return sorted(path.relative_to(raw).as_posix() for path in found if path.is_file() and not path.is_symlink())
