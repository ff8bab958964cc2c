"""What a figurine is put together from: the list of its solids, its colours, and the parts below the head."""

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.detectors.figurines import solids
from models.detectors.figurines.bones import SIDES, Bones, Random
from models.detectors.figurines.solids import Shape, Triple
from pipeline.people import labels
from pipeline.render.bodies import Floats, Ints
from pipeline.render.vectors import unit

Colour = tuple[float, float, float]
Put = Callable[[Shape, Colour, int, Triple], None]

SKINS = ((0.98, 0.82, 0.69), (0.93, 0.72, 0.56), (0.78, 0.55, 0.39), (0.55, 0.36, 0.25), (0.36, 0.23, 0.16))
METALS = ((0.62, 0.65, 0.70), (0.40, 0.42, 0.47), (0.80, 0.66, 0.32))
WOOD = (0.45, 0.29, 0.17)
DARK = (0.08, 0.07, 0.09)
ORIGIN = (0.0, 0.0, 0.0)


class Parts:
    """The solids of a figurine as they are added, each with a colour and a label."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.shapes: list[Shape] = []
        self.colours: list[Colour] = []
        self.labels: list[int] = []

    def at(self, axes: Floats, place: Floats) -> Put:
        """What puts a solid, with its colour and label, to (x, y, z) along `axes` from `place`."""

        def put(shape: Shape, colour: Colour, label: int, offset: Triple = ORIGIN) -> None:
            points, faces = shape
            self.shapes.append((((points + np.array(offset)) @ axes.T + place).astype(np.float32), faces))
            self.colours.append(colour)
            self.labels.append(label)

        return put

    def mesh(self) -> tuple[Floats, Ints, NDArray[np.intp]]:
        """All points, all triangles, and which solid each triangle belongs to."""
        starts = np.cumsum([0] + [len(points) for points, _ in self.shapes])
        faces = [faces + start for (_, faces), start in zip(self.shapes, starts, strict=False)]
        owner = np.repeat(np.arange(len(faces)), [len(part) for part in faces])
        return np.concatenate([points for points, _ in self.shapes]), np.concatenate(faces).astype(np.int32), owner


def draw_colour(look: Random) -> Colour:
    """Any colour but the darkest."""
    return colorsys.hsv_to_rgb(look.random(), look.uniform(0.05, 0.85), look.uniform(0.15, 0.95))


def draw_skin(look: Random) -> Colour:
    """A tone of skin, seldom of a goblin."""
    tone = SKINS[int(look.choice(5, p=[0.4, 0.25, 0.15, 0.12, 0.08]))]
    return draw_colour(look) if look.random() < 0.08 else tone


def darker(colour: Colour, share: float) -> Colour:
    """The colour times `share`."""
    return colour[0] * share, colour[1] * share, colour[2] * share


def add_torso(parts: Parts, bones: Bones, look: Random, cloth: list[Colour]) -> None:
    """Chest, the skirts of a tunic or a robe, a belt, a collar, and perhaps a cape."""
    cells, length = max(10, parts.cells), bones.torso
    wide, deep = bones.shoulder * look.uniform(0.8, 1.1), bones.skull[2] * look.uniform(0.4, 0.75)
    chest = solids.rounded((wide, length * 0.56, deep), look.uniform(0.4, 0.9), cells, look.uniform(-0.15, 0.3))
    parts.at(bones.chest, (bones.waist + bones.neck) / 2)(chest, cloth[0], labels.UPPER_CLOTHES, ORIGIN)
    below = bones.leg * float(look.choice([0.0, 0.2, 0.45, 0.8], p=[0.35, 0.3, 0.2, 0.15])) + length * 0.15
    skirts = [(wide * 1.03, length * 0.1), (wide * 1.06, 0.0), (wide * look.uniform(1.0, 1.45), -below)]
    at_waist = parts.at(bones.hips, bones.waist + bones.hips @ np.array([0, length * look.uniform(0.02, 0.2), 0]))
    colour = cloth[0] if look.random() < 0.7 else cloth[1]
    at_waist(solids.lathe(skirts, cells, deep / wide), colour, labels.UPPER_CLOTHES, ORIGIN)
    if look.random() < 0.7:
        belt = solids.rounded((wide * 1.1, length * look.uniform(0.05, 0.1), deep * 1.12), 0.5, cells)
        at_waist(belt, draw_colour(look), labels.UPPER_CLOTHES, ORIGIN)
        buckle = solids.rounded((wide * 0.16, length * 0.08, deep * 0.1), 0.4, 8)
        at_waist(buckle, METALS[int(look.integers(3))], labels.UPPER_CLOTHES, (0, 0, deep * 1.1))
    at_neck = parts.at(bones.chest, bones.neck)
    if look.random() < 0.4:
        collar = solids.rounded((wide * 0.85, length * 0.13, deep * 1.1), 0.8, cells)
        at_neck(collar, cloth[2], labels.UPPER_CLOTHES, (0, -length * 0.05, 0))
    if look.random() < 0.5:
        widths = (wide * look.uniform(0.9, 1.2), wide * look.uniform(1.1, 1.9))
        long, back = length + bones.leg * look.uniform(-0.4, 0.9), deep * look.uniform(1.05, 1.3)
        sheet = solids.cape(widths, long, back, look.uniform(-0.05, 0.3) * length, look.uniform(70, 120))
        at_neck(sheet, cloth[2], labels.UPPER_CLOTHES, (0, -length * 0.05, 0))


def add_arms(parts: Parts, bones: Bones, look: Random, skin: Colour, cloth: list[Colour]) -> None:
    """Sleeved or bare arms with mittens for hands, and perhaps cuffs and pads on the shoulders."""
    cells, box = parts.cells, look.uniform(0.5, 1.0)
    thick, thin, hand = (bones.torso * look.uniform(*ends) for ends in ((0.13, 0.22), (0.1, 0.19), (0.13, 0.21)))
    bare, gloved, cuffed, padded = look.random(4)
    glove, cuff, pad = (draw_colour(look) for _ in range(3))
    lower = (skin, labels.ARM) if bare < 0.4 else (cloth[0 if bare < 0.8 else 1], labels.UPPER_CLOTHES)
    for _, first, _ in SIDES:
        shoulder, elbow, wrist = bones.joints[first : first + 3]
        along = solids.frame_along(elbow - shoulder)
        half = float(np.linalg.norm(elbow - shoulder)) / 2
        put = parts.at(along, (shoulder + elbow) / 2)
        put(solids.limb(half, (thick, thick * 0.9), box, cells), cloth[0], labels.UPPER_CLOTHES, ORIGIN)
        if padded < 0.25:
            ball = solids.rounded((thick * 1.5, thick * 1.2, thick * 1.6), 0.8, max(10, cells))
            put(ball, pad, labels.UPPER_CLOTHES, (0, -half, 0))
        half = float(np.linalg.norm(wrist - elbow)) / 2
        put = parts.at(solids.frame_along(wrist - elbow), (elbow + wrist) / 2)
        put(solids.limb(half, (thick * 0.95, thin), box, cells), *lower, ORIGIN)
        if cuffed < 0.5:
            ring = [(thin * 1.15, -hand), (thin * 1.45, 0.0), (thin * 0.6, 0.01)]
            put(solids.lathe(ring, cells), cuff, labels.UPPER_CLOTHES, (0, half, 0))
        fist = solids.rounded((hand * 0.85, hand, hand * 0.8), 0.7, max(10, cells))
        put(fist, glove if gloved < 0.4 else skin, labels.ARM, (0, half + hand * 0.75, 0))


def add_legs(parts: Parts, bones: Bones, look: Random, skin: Colour, cloth: list[Colour]) -> None:
    """Stubby legs in trousers or bare, in boots or shoes."""
    thick, box, boots = bones.hip * look.uniform(0.6, 0.95), look.uniform(0.5, 1.0), draw_colour(look)
    trousers = (skin, labels.LEG) if look.random() < 0.2 else (cloth[1], labels.PANTS)
    wide, long, shaft = thick * look.uniform(1.05, 1.4), thick * look.uniform(1.3, 2.1), look.uniform(0.0, 1.0)
    for (_, _, first), sole in zip(SIDES, bones.soles, strict=True):
        hip, knee, ankle = bones.joints[first : first + 3]
        top = ankle + (knee - ankle) * max(shaft, 0.1)
        for start, end, widths, cover in (
            (hip, knee, (thick * 1.05, thick), trousers),
            (knee, ankle, (thick, thick * 0.9), trousers),
            (top, ankle, (wide, wide * 0.9), (boots, labels.LEG)),
        ):
            shape = solids.limb(float(np.linalg.norm(end - start)) / 2, widths, box, parts.cells)
            parts.at(solids.frame_along(end - start), (start + end) / 2)(shape, *cover, ORIGIN)
        up = unit((ankle - sole)[None])[0]
        ahead = bones.hips[:, 2] - up * (bones.hips[:, 2] @ up)
        ahead = unit((ahead if np.linalg.norm(ahead) > 0.3 else bones.hips[:, 1])[None])[0]
        half = float(np.linalg.norm(ankle - sole)) / 2
        shoe = solids.rounded((wide, half * 1.15, long), 0.6, max(10, parts.cells), 0.1)
        put = parts.at(np.stack([np.cross(up, ahead), up, ahead], axis=1), (ankle + sole) / 2)
        put(shoe, boots, labels.LEG, (0, 0, (long - wide) * 0.8))


def add_things(parts: Parts, bones: Bones, look: Random) -> None:
    """What is in the hands or on the back: a staff, a blade, a shield, a book, a pack; background to a label map."""
    for _, first, _ in SIDES:
        kind = str(look.choice(["", "staff", "blade", "shield", "book"], p=[0.68, 0.09, 0.12, 0.06, 0.05]))
        size, colour = look.uniform(0.12, 0.42), draw_colour(look)
        elbow, wrist = bones.joints[first + 1], bones.joints[first + 2]
        if not kind:
            continue
        shape = {
            "staff": solids.rounded((0.012, 0.012, size * 1.3), 0.5, 8),
            "blade": solids.rounded((0.008, 0.025, size), 0.4, 8),
            "shield": solids.lathe([(size * 0.6, 0.0), (size * 0.5, 0.03), (0.001, 0.05)], 14),
            "book": solids.rounded((0.02, 0.07, 0.09), 0.2, 8),
        }[kind]
        put, ahead = parts.at(solids.frame_along(wrist - elbow), wrist), size * 0.8 if kind == "blade" else 0.0
        put(shape, WOOD if kind == "staff" else colour, labels.BACKGROUND, (0, bones.torso * 0.12, ahead))
    if look.random() < 0.12:
        pack = solids.rounded((bones.shoulder * 0.7, bones.torso * look.uniform(0.3, 0.6), 0.08), 0.4, 10)
        put = parts.at(bones.chest, bones.waist)
        put(pack, draw_colour(look), labels.BACKGROUND, (0, bones.torso * 0.55, -bones.skull[2] * 0.8))
