"""Poses and garments exchanged between people: two of a domain, and one of each of two domains.

Every method exchanges poses; those that can `dress` and `blend` exchange parts too, those that can `restyle` and `edit`
give clothes another texture and draw after a changed label map, and those that can `sample` vary a person at random.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.attributes import ALL_PARTS, blend, with_parts
from models.data import Arrays, Draw, Pairs, across, to_levels
from models.method import Method
from pipeline.packed import Pack
from pipeline.people import skeleton
from pipeline.people.labels import ARM, HAIR, LEG, PANTS, SKIRT, UPPER_CLOTHES
from stages import sheets
from stages.drawing import Bytes, beside, draw_labels

POSES = 3
STEPS = 7
# What goes from one person to the other: words for the heading, and the parts.
GARMENTS = {
    "upper clothes": (UPPER_CLOTHES,),
    "pants or skirt": (PANTS,),
    "hair": (HAIR,),
    "all clothes": (UPPER_CLOTHES, PANTS, LEG),
}
# What another texture is given to, and label maps that are changed as a whole: the part, and what it becomes.
_CLOTHES = (UPPER_CLOTHES, PANTS, SKIRT)
_EDITS = {"long sleeves": (ARM, UPPER_CLOTHES), "trousers to the feet": (LEG, PANTS)}


@dataclass(frozen=True)
class Figure:
    """One person of a pack: the rows of the pictures, the widest shoulders first."""

    packed: Pack
    name: str
    rows: list[int]

    def arrays(self, index: int, reads: Collection[str] = ()) -> Arrays:
        """What the networks read of the picture."""
        return Pairs(self.packed, np.array([[self.rows[index]] * 2], np.int32), reads)[Draw(0)]

    def image(self, index: int) -> Bytes:
        """(H, W, 3) RGB."""
        return self.packed.image(self.rows[index])


def choose_figures(packed: Pack, count: int) -> list[Figure]:
    """`count` people of the test pairs, spread over them; of each the pictures that show the front best come first."""
    shown = sorted({packed.persons[row] for row in packed.pairs("test")[:, 1]})
    chosen = sheets.choose(shown, count)
    return [Figure(packed, person, _front_first(packed, person)) for person in chosen]


def _front_first(packed: Pack, person: str) -> list[int]:
    rows = [row for row, name in enumerate(packed.persons) if name == person]
    return sorted(rows, key=lambda row: (-_front(packed.keypoints[row]), row))


def _front(joints: skeleton.Joints) -> float:
    """How far the right shoulder is left of the left one, for the height: large from the front, below 0 from behind."""
    there = skeleton.is_present(joints)
    if not there[[skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER]].all():
        return float("-inf")
    height = np.ptp(joints[there, 1])
    return float((joints[skeleton.LEFT_SHOULDER, 0] - joints[skeleton.RIGHT_SHOULDER, 0]) / max(height, 1))


def make_sections(method: Method, pairs: Sequence[tuple[Figure, Figure]]) -> list[sheets.Section]:
    """The sections of the sheet: poses first, then garments, then blends, a row for each direction."""
    sections = [sheets.Section([tile for pair in pairs for tile in _poses(method, *pair)], _POSES, columns=1)]
    if "dress" in method.edits:
        heading = " · ".join(["person", "other", *GARMENTS]) + " of the other"
        sections.append(
            sheets.Section([tile for pair in pairs for tile in _garments(method, *pair)], heading, columns=1)
        )
    if "blend" in method.edits:
        tiles = [_blend(method, *pair) for pair in pairs]
        sections.append(sheets.Section(tiles, "from one person to the other, all parts, in one pose", columns=1))
    if "restyle" in method.edits:
        tiles = [tile for pair in pairs for tile in _textures(method, *pair)]
        heading = "person · other · the person's clothes in the other's texture · all in it"
        sections.append(sheets.Section(tiles, heading, columns=2))
    if "edit" in method.edits:
        tiles = [tile for one, _ in pairs for tile in _layouts(method, one)]
        sections.append(sheets.Section(tiles, "person · label map · drawn after it, as it is and changed", columns=2))
    if "sample" in method.edits:
        tiles = [tile for one, _ in pairs for tile in _samples(method, one)]
        sections.append(sheets.Section(tiles, "person · drawn at random: what the caption names", columns=1))
    return sections


_POSES = "person · then for each pose of the other: the picture it is taken from, and the person in it"


def _poses(method: Method, one: Figure, other: Figure) -> list[sheets.Tile]:
    tiles = []
    for person, model in ((one, other), (other, one)):
        poses = range(min(POSES, len(model.rows)))
        drawn = _draw(
            method,
            [person.arrays(0, method.reads)] * len(poses),
            [model.arrays(index, method.reads) for index in poses],
        )
        parts = [picture for index in poses for picture in (model.image(index), drawn[index])]
        tiles.append(sheets.Tile(beside(person.image(0), *parts), f"{person.name} in the poses of {model.name}"))
    return tiles


def _garments(method: Method, one: Figure, other: Figure) -> list[sheets.Tile]:
    tiles = []
    for person, donor in ((one, other), (other, one)):
        batch = across([person.arrays(0), donor.arrays(0)], [person.arrays(0)] * 2)
        own, given = method.part_codes(batch).split(1)
        mixed = torch.cat([with_parts(own, dict.fromkeys(parts, given)) for parts in GARMENTS.values()])
        drawn = _draw(method, [person.arrays(0)] * len(mixed), [person.arrays(0)] * len(mixed), mixed)
        picture = beside(person.image(0), donor.image(0), *drawn)
        tiles.append(sheets.Tile(picture, f"{person.name} with parts of {donor.name}"))
    return tiles


def _blend(method: Method, one: Figure, other: Figure) -> sheets.Tile:
    batch = across([one.arrays(0), other.arrays(0)], [one.arrays(0)] * 2)
    start, end = method.part_codes(batch).split(1)
    codes = blend(start, end, ALL_PARTS, STEPS)
    drawn = _draw(method, [one.arrays(0)] * STEPS, [one.arrays(0)] * STEPS, codes)
    return sheets.Tile(beside(*drawn), f"{one.name} → {other.name}")


def _textures(method: Method, one: Figure, other: Figure) -> list[sheets.Tile]:
    """Each in the texture of the other: the looks of one, on the label map and in the pose of the other."""
    tiles = []
    for person, style in ((one, other), (other, one)):
        (drawn,) = _repaint(method, [style.arrays(0)], [person.arrays(0)])
        worn = np.isin(person.packed.parsing(person.rows[0]), _CLOTHES)[..., None]
        picture = beside(person.image(0), style.image(0), np.where(worn, drawn, person.image(0)), drawn)
        tiles.append(sheets.Tile(picture, f"{person.name} in the texture of {style.name}"))
    return tiles


def _layouts(method: Method, figure: Figure) -> list[sheets.Tile]:
    """The person after the own label map, and after one with a part relabelled, where the map shows that part."""
    own, parsing = figure.arrays(0), figure.packed.parsing(figure.rows[0])
    changed = {"as found": parsing} | {
        told: np.where(parsing == part, label, parsing).astype(np.uint8)
        for told, (part, label) in _EDITS.items()
        if (parsing == part).any()
    }
    drawn = _repaint(method, [own] * len(changed), [own | {"target_parsing": labels} for labels in changed.values()])
    return [
        sheets.Tile(beside(figure.image(0), draw_labels(labels), picture), f"{figure.name}: {told}")
        for (told, labels), picture in zip(changed.items(), drawn, strict=True)
    ]


def _repaint(method: Method, people: Sequence[Arrays], layouts: Sequence[Arrays]) -> NDArray[np.uint8]:
    """(B, H, W, 3) RGB of the people on the label maps and in the poses of the others."""
    from models.spt import Spt

    assert isinstance(method, Spt)
    drawn: NDArray[np.uint8] = to_levels(method.repaint(across(people, layouts))).permute(0, 2, 3, 1).numpy()
    return drawn


def _samples(method: Method, figure: Figure) -> list[sheets.Tile]:
    """The person with each factor varied alone, then with all of them: nobody."""
    from models.dpig import Dpig
    from models.dpig_codes import POSE
    from models.sampling import sampled, without_pose

    assert isinstance(method, Dpig)
    arrays, tiles = [figure.arrays(0)] * STEPS, []
    batch = across(arrays, arrays)
    own = {factor: code[:1] for factor, code in method.codes(batch).items()}
    for varied in (*((factor,) for factor in method.factors), method.factors):
        codes = sampled(method, varied, STEPS, seed=0, fixed=own)
        levels = to_levels(method.compose(codes if POSE in varied else without_pose(codes), batch))
        pictures = beside(figure.image(0), *levels.permute(0, 2, 3, 1).numpy())
        tiles.append(sheets.Tile(pictures, f"{figure.name}: {', '.join(varied)}"))
    return tiles


def _draw(
    method: Method, people: Sequence[Arrays], poses: Sequence[Arrays], codes: torch.Tensor | None = None
) -> NDArray[np.uint8]:
    """(B, H, W, 3) RGB of the people in the poses."""
    levels = to_levels(method.generate(across(people, poses), codes))
    pictures: NDArray[np.uint8] = levels.permute(0, 2, 3, 1).cpu().numpy()
    return pictures
