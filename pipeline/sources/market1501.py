"""Source `market1501`: the pictures of Market-1501, 64x128 (W x H), as distributed.

    raw/bounding_box_train/0002_c1s1_000451_03.jpg      training; the folder may be called train
    raw/bounding_box_test/, raw/query/                  testing; or test
    raw/*.csv                                           the field's pair and annotation lists, as in a folder

A name is PPPP_cCsS_FFFFFF_BB: person, camera and sequence, frame, box. Persons 0000 (distractors) and -1 (junk) are
left out, and so are the hand-drawn boxes of gt_bbox/ and gt_query/, which show the same people again.
"""

from dataclasses import replace
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources import folder
from pipeline.sources.entries import Options, RawSource
from pipeline.sources.names import is_distractor, market_person, without_suffix

SPLITS = {
    "bounding_box_train": "train",
    "train": "train",
    "bounding_box_test": "test",
    "query": "test",
    "test": "test",
}
DRAWN_BY_HAND = ("gt_bbox", "gt_query")


def read(raw: Path, options: Options) -> RawSource:
    """The pictures of known persons with the split of their folder; UserError when there are none."""
    source = folder.read(raw, replace(options, nested_archives=True))
    entries, notes = [], list(source.notes)
    strangers = [(name, reason) for name, reason in source.set_aside if is_distractor(without_suffix(name))]
    set_aside = [row for row in source.set_aside if row not in set(strangers)]
    by_hand = 0
    for entry in source.entries:
        folders = [part.lower() for part in entry.path.split("/")[:-1]]
        if any(part in DRAWN_BY_HAND for part in folders):
            by_hand += 1
        elif person := market_person(entry.id):
            split = next((SPLITS[part] for part in folders if part in SPLITS), None)
            entries.append(replace(entry, person=person, split=split))
        else:
            set_aside.append((entry.path, "no name of Market-1501's: PPPP_cCsS_FFFFFF_BB.jpg"))
    if not entries:
        raise UserError(
            f"{raw} holds no pictures of Market-1501 (bounding_box_train/0002_c1s1_000451_03.jpg): "
            f"set domains.{options.domain}.raw to its folder or .zip"
        )
    if by_hand:
        notes.append(f"{by_hand} pictures of {' and '.join(DRAWN_BY_HAND)} are no part of the source")
    known = {entry.id for entry in entries}
    return replace(
        source,
        entries=entries,
        set_aside=set_aside,
        left_out=strangers,
        annotations={key: joints for key, joints in source.annotations.items() if key in known},
        pairs=[pair for pair in source.pairs if pair[0] in known and pair[1] in known],
        notes=notes,
    )
