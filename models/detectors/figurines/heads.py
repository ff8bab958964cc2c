"""The head of a figurine: a simple face, hair, and what is worn over it."""

from models.detectors.figurines import solids
from models.detectors.figurines.bones import FACE, Bones, Random
from models.detectors.figurines.parts import DARK, METALS, ORIGIN, WOOD, Colour, Parts, Put, darker, draw_colour
from models.detectors.figurines.solids import Triple
from pipeline.people import labels
from pipeline.render.bodies import Floats


def add_head(parts: Parts, bones: Bones, look: Random, skin: Colour, cloth: list[Colour]) -> None:
    """Head, face, hair and headwear; what is worn counts as hair, as in the field's label maps."""
    put, cells = parts.at(bones.head, bones.centre), max(12, parts.cells)
    put(solids.rounded(bones.skull, bones.roundness, cells), skin, labels.FACE, ORIGIN)
    places = (bones.joints[FACE] - bones.centre) @ bones.head
    _face(put, bones.skull, look, skin, places)
    _hair(put, bones, look, cells, float(places[0, 1]))
    kind = look.choice(5, p=[0.42, 0.25, 0.14, 0.12, 0.07])
    if kind > 0:
        (_hat, _hood, _helmet, _band)[kind - 1](put, bones, look, cells, cloth[0])


def _face(put: Put, skull: Triple, look: Random, skin: Colour, places: Floats) -> None:
    """Eyes, and perhaps brows, nose, mouth and ears; `places` (5, 3) those of nose, eyes and ears."""
    x, y, z = skull
    nose, *sides = [(float(a), float(b), float(c)) for a, b, c in places]
    if look.random() < 0.6:
        size = y * look.uniform(0.05, 0.14)
        put(solids.rounded((size, size, size), 0.8, 8), darker(skin, 0.94), labels.FACE, nose)
    wide, high, lifted = x * look.uniform(0.06, 0.17), y * look.uniform(0.08, 0.2), look.uniform(1.4, 2.2)
    iris, brows = DARK if look.random() < 0.7 else draw_colour(look), darker(draw_colour(look), 0.5)
    white, browed = look.random() < 0.3, look.random() < 0.6
    for eye in sides[:2]:
        if white:
            put(solids.rounded((wide * 1.4, high * 1.3, z * 0.04), 1, 10), (0.96, 0.96, 0.96), labels.FACE, eye)
        put(solids.rounded((wide, high, z * 0.06), 1, 10), iris, labels.FACE, eye)
        if browed:
            brow = solids.rounded((wide * 1.8, y * 0.035, z * 0.08), 0.4, 8)
            put(brow, brows, labels.FACE, (eye[0], eye[1] + high * lifted, eye[2]))
    if look.random() < 0.4:
        mouth = solids.rounded((x * look.uniform(0.06, 0.25), y * 0.03, z * 0.05), 0.6, 8)
        put(mouth, darker(skin, 0.5), labels.FACE, (0, nose[1] - 0.22 * y, nose[2]))
    size, eared = y * look.uniform(0.1, 0.22), look.random() < 0.75
    for ear in sides[2:] if eared else ():
        put(solids.rounded((size * 0.6, size, size * 0.7), 0.8, 8), skin, labels.FACE, ear)


def _hair(put: Put, bones: Bones, look: Random, cells: int, nose: float) -> None:
    """Hair as one block, from a fringe to the waist; perhaps a bun, perhaps a beard from the height `nose` down."""
    x, y, z = bones.skull
    colour = darker(draw_colour(look), 0.8) if look.random() < 0.5 else darker(WOOD, look.uniform(0.3, 1.9))
    wide, opening, brow = look.uniform(1.03, 1.14), look.uniform(35, 80), look.uniform(0.2, 0.75)
    drop = float(look.choice([0.1, 0.5, 0.9, 1.3, 1.9], p=[0.25, 0.3, 0.2, 0.15, 0.1]))
    if look.random() < 0.85:
        block = solids.cap((x * wide, y * wide, z * wide), bones.roundness, cells, opening, brow, drop)
        put(block, colour, labels.HAIR, ORIGIN)
    if look.random() < 0.25:
        ball, at = y * look.uniform(0.15, 0.4), (0, look.uniform(-0.4, 0.8) * y, -z * look.uniform(0.9, 1.2))
        put(solids.rounded((ball, ball, ball), 0.8, cells), colour, labels.HAIR, at)
    if look.random() < 0.1:
        beard = (x * look.uniform(0.4, 0.9), y * look.uniform(0.2, 0.6), z * 0.35)
        put(solids.rounded(beard, 0.6, cells), colour, labels.HAIR, (0, nose - beard[1] * 1.3, z * 0.85))


def _hat(put: Put, bones: Bones, look: Random, cells: int, cloth: Colour) -> None:
    """A wide brim, a band, and a crown that is a cone, a stump or a cylinder."""
    x, y, z = bones.skull
    brim, sag, tall = x * look.uniform(1.3, 2.5), y * look.uniform(-0.15, 0.3), y * look.uniform(0.3, 1.7)
    # A round crown about a box of a head has to be wider than the box.
    inner = x * look.uniform(1.0, 1.12) * (1.25 - 0.25 * bones.roundness)
    taper, at = float(look.choice([0.05, 0.5, 0.9])), (0, y * look.uniform(0.15, 0.6), 0)
    rings = [(inner * (1 - taper * part), tall * height) for part, height in ((0.35, 0.35), (0.75, 0.75), (1, 1))]
    bend = float(look.normal(0, 0.3)) * tall if taper > 0.8 else 0.0
    shape = solids.lathe([(brim, -sag), (inner, 0.0), *rings, (0.002, tall * 1.02)], cells, z / x, bend)
    put(shape, cloth if look.random() < 0.5 else draw_colour(look), labels.HAIR, at)
    if look.random() < 0.6:
        band = [(inner * 1.04, 0.0), (inner * (1.04 - taper * 0.2), tall * 0.2)]
        put(solids.lathe(band, cells, z / x), draw_colour(look), labels.HAIR, at)


def _hood(put: Put, bones: Bones, look: Random, cells: int, cloth: Colour) -> None:
    """A hood of the tunic's cloth, with a tip or without."""
    x, y, z = (length * look.uniform(1.1, 1.25) for length in bones.skull)
    shape = solids.cap((x, y, z), bones.roundness, cells, look.uniform(35, 65), look.uniform(0.3, 0.8), 1.0)
    put(shape, cloth, labels.HAIR, ORIGIN)
    if look.random() < 0.5:
        rings = [(x * 0.7, 0.0), (x * 0.3, y * 0.4), (0.005, y * look.uniform(0.5, 1.0))]
        put(solids.lathe(rings, cells, bend=0.1 * y), cloth, labels.HAIR, (0, y * 0.7, -z * 0.2))


def _helmet(put: Put, bones: Bones, look: Random, cells: int, cloth: Colour) -> None:
    """Metal about the head, open in front or but for a slit, perhaps with horns or a crest."""
    size = look.uniform(1.06, 1.18)
    x, y, z = (length * size for length in bones.skull)
    opening = 0.0 if look.random() < 0.2 else look.uniform(30, 75)
    shape = solids.cap((x, y, z), bones.roundness, cells, opening, look.uniform(0.1, 0.6), look.uniform(0.2, 1.0))
    put(shape, METALS[int(look.integers(3))], labels.HAIR, ORIGIN)
    if opening == 0:
        put(solids.rounded((x * 0.8, y * 0.06, z * 0.05), 0.4, 8), DARK, labels.HAIR, (0, -0.05 * y, z))
    extra, rise = look.random(), look.uniform(0.2, 0.45)
    if extra < 0.35:
        horn = solids.lathe([(y * 0.16, 0.0), (y * 0.12, y * rise), (0.002, y * 2 * rise)], 8, bend=0.0)
        for sign in (1.0, -1.0):
            put(horn, (0.9, 0.87, 0.78), labels.HAIR, (sign * x * 0.85, y * 0.5, 0))
    elif extra < 0.6:
        put(solids.rounded((x * 0.1, y * 0.3, z * 0.9), 0.6, 10), cloth, labels.HAIR, (0, y * 0.9, 0))


def _band(put: Put, bones: Bones, look: Random, cells: int, cloth: Colour) -> None:
    """A crown or a cloth about the forehead."""
    x, y, z = bones.skull
    rings = [(x * 1.15, -0.1 * y), (x * 1.2, look.uniform(0.0, 0.3) * y)]
    colour = METALS[2] if look.random() < 0.5 else cloth
    put(solids.lathe(rings, cells, z / x), colour, labels.HAIR, (0, y * look.uniform(0.3, 0.6), 0))
