"""Random changes to a training picture, its joints and its label map: so that rendered people stand for real ones."""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pipeline.people import labels as vocabulary
from pipeline.people import skeleton

_HAIR_COLOURS = ((25, 20, 18), (60, 42, 30), (95, 66, 44), (150, 110, 70), (205, 175, 125), (120, 120, 120))

Picture = NDArray[np.uint8]
LabelMap = NDArray[np.uint8]


@dataclass(frozen=True)
class Strength:
    """How strongly pictures are changed; chances are per picture."""

    scale: tuple[float, float] = (0.6, 1.25)
    """Range of the size of the person against the original, drawn evenly in its logarithm."""
    close_up: float = 0.2
    """Chance of a close-up instead: 1.3 to 2.2 times, around one of the joints."""
    shop: float = 0.0
    """Chance of a shop's framing instead: the head at the upper edge, the lower edge between waist and ankles."""
    fill: float = 0.0
    """Chance that the person of the label map is made to fill the picture instead, up to its nearer edges."""
    turned: float = 0.0
    """Chance that a person with a label map who faces the camera is turned away: the head becomes hair all over."""
    aspect: float = 0.1
    """Largest relative stretch of the width against the height."""
    rotation_deg: float = 22.0
    background: float = 0.6
    """Chance that what the label map calls background is replaced."""
    studio: float = 0.15
    """Share of new backgrounds that are a studio's: nearly white or light grey, evenly or softly lit."""
    colour: float = 0.8
    blur: float = 0.25
    noise: float = 0.3
    jpeg: float = 0.3
    occlusion: float = 0.25


def change(
    image: Picture,
    joints: skeleton.Joints,
    labels: LabelMap,
    *,
    has_labels: bool,
    strength: Strength,
    random: np.random.Generator,
) -> tuple[Picture, skeleton.Joints, LabelMap]:
    """A changed copy of the example, of the same size; joints that leave the frame or are covered become missing."""
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
        joints = skeleton.flip(joints, image.shape[1])
    if has_labels and random.random() < strength.turned:
        image, joints, labels = _turn_away(image, joints, labels, random)
    size = image.shape[:2]
    scenery = _studio(size, random) if random.random() < strength.studio else _scenery(size, random)
    image, joints, labels, inside = _move(image, joints, labels, strength, random)
    image = np.where(inside[..., None], image, scenery)
    if has_labels and random.random() < strength.background:
        image = _replace_background(image, labels, scenery)
    if random.random() < strength.occlusion:
        image, joints, labels = _occlude(image, joints, labels, random)
    return _degrade(image, strength, random), joints, labels


def _turn_away(
    image: Picture, joints: skeleton.Joints, labels: LabelMap, random: np.random.Generator
) -> tuple[Picture, skeleton.Joints, LabelMap]:
    """The person as if seen from behind: hair where face was, left and right exchanged; as it was in another view."""
    facing = skeleton.is_present(joints)[[skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE]].all()
    sides = joints[[skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER]]
    if not facing or not skeleton.is_present(sides).all() or sides[0, 0] >= sides[1, 0]:
        return image, joints, labels
    hair = image[labels == vocabulary.HAIR]
    colour = hair.mean(axis=0) if len(hair) > 60 else np.array(random.choice(_HAIR_COLOURS), np.float64)
    height, width = labels.shape
    strands = Image.fromarray(random.integers(0, 256, (height // 16, width), dtype=np.uint8))
    shade = np.asarray(strands.resize((width, height), Image.Resampling.BICUBIC), np.float64) / 255 - 0.5
    head = np.isin(labels, (vocabulary.HAIR, vocabulary.FACE))
    image = np.where(head[..., None], np.clip(colour * (1 + 0.5 * shade[..., None]), 0, 255).astype(np.uint8), image)
    joints = joints[list(skeleton.FLIP)]
    joints[[skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE]] = skeleton.MISSING
    return image, joints, np.where(head, vocabulary.HAIR, labels).astype(np.uint8)


def _move(
    image: Picture, joints: skeleton.Joints, labels: LabelMap, strength: Strength, random: np.random.Generator
) -> tuple[Picture, skeleton.Joints, LabelMap, NDArray[np.bool_]]:
    """The example under a random similarity with a slight stretch, and where the moved picture has pixels."""
    height, width = labels.shape
    scale, focus, target = _framing(joints, labels, strength, random)
    angle = math.radians(random.normal(0, strength.rotation_deg / 2))
    stretch = 1 + random.uniform(-strength.aspect, strength.aspect)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forward = turn @ np.diag([scale * stretch, scale])

    # Pillow asks where each target pixel comes from, and counts from pixel corners.
    backward = np.linalg.inv(forward)
    offset = focus + 0.5 - backward @ (target + 0.5)
    matrix = (*backward[0], offset[0], *backward[1], offset[1])
    moved = _warp(image, matrix, Image.Resampling.BICUBIC)
    moved_labels = _warp(labels, matrix, Image.Resampling.NEAREST)
    inside = _warp(np.full(labels.shape, 255, np.uint8), matrix, Image.Resampling.NEAREST) > 0

    out = joints.copy()
    out[:, :2] = (joints[:, :2] - focus) @ forward.T + target
    out[~skeleton.is_present(joints), 2] = 0
    # A shift by nothing: drops the joints that left the frame.
    return moved, skeleton.move(_mark(out), offset=(0, 0), scale=(1, 1), size=(width, height)), moved_labels, inside


def _framing(
    joints: skeleton.Joints, labels: LabelMap, strength: Strength, random: np.random.Generator
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """How much larger the example is shown, and which of its points comes to which of the picture."""
    height, width = labels.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    present = np.flatnonzero(skeleton.is_present(joints))
    draw = random.random()
    if draw < strength.shop:
        framed = _shop_framing(joints, labels, random)
        if framed is not None:
            return framed
    if strength.shop <= draw < strength.shop + strength.fill and labels.any():
        ys, xs = (np.flatnonzero((labels != vocabulary.BACKGROUND).any(axis=axis)) for axis in (1, 0))
        scale = random.uniform(0.8, 1.0) * min(height / (ys[-1] - ys[0] + 1), width / (xs[-1] - xs[0] + 1))
        return scale, np.array([xs[0] + xs[-1], ys[0] + ys[-1]]) / 2, centre + random.uniform(-0.05, 0.05, 2) * width
    if present.size and draw < strength.shop + strength.fill + strength.close_up:
        focus = joints[random.choice(present), :2].astype(np.float64)
        scale, free = random.uniform(1.3, 2.2), 0.25
    else:
        scale = math.exp(random.uniform(math.log(strength.scale[0]), math.log(strength.scale[1])))
        focus, free = centre, max(0.08, (1 - scale) / 2)
    return scale, focus, centre + random.uniform(-free, free, 2) * (width, height)


def _shop_framing(
    joints: skeleton.Joints, labels: LabelMap, random: np.random.Generator
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]] | None:
    """As `_framing`, for a person whose shoulders and hips are known and upright: none for another."""
    pillars = joints[[skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER, skeleton.RIGHT_HIP, skeleton.LEFT_HIP]]
    if not skeleton.is_present(pillars).all():
        return None
    height, width = labels.shape
    shoulder, hip = pillars[:2, 1].mean(), pillars[2:, 1].mean()
    body = np.flatnonzero((labels != vocabulary.BACKGROUND).any(axis=1))
    # A head is about six tenths of a torso high, of a figurine more: the label map knows.
    top = float(body[0]) if body.size else shoulder - 0.6 * (hip - shoulder)
    # From the waist (-0.15 torsos below the hips) to the ankles (1.6).
    bottom = hip + random.uniform(-0.15, 1.6) * (hip - shoulder)
    if hip - shoulder < 0.1 * height or bottom - top < 0.2 * height:
        return None
    scale = random.uniform(0.88, 1.05) * height / (bottom - top)
    focus = np.array([pillars[:, 0].mean(), top], np.float64)
    return scale, focus, np.array([(0.5 + random.normal(0, 0.06)) * width, random.uniform(-0.1, 0.1) * height])


def _mark(joints: skeleton.Joints) -> skeleton.Joints:
    gone = (joints[:, 2] <= 0) | (joints[:, :2] < 0).any(axis=1)
    return np.where(gone[:, None], np.asarray(skeleton.MISSING, np.float32), joints).astype(np.float32)


def _warp(pixels: NDArray[np.uint8], matrix: tuple[float, ...], resample: Image.Resampling) -> NDArray[np.uint8]:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, matrix, resample=resample))


def _scenery(size: tuple[int, int], random: np.random.Generator) -> Picture:
    """A background: white, one colour, a gradient, or soft or sharp noise of several sizes."""
    height, width = size
    kind = random.choice(["white", "flat", "gradient", "clouds", "blocks"], p=[0.15, 0.15, 0.2, 0.3, 0.2])
    if kind == "white":
        return np.full((height, width, 3), random.integers(235, 256), np.uint8)
    if kind == "flat":
        return np.broadcast_to(random.integers(0, 256, 3, dtype=np.uint8), (height, width, 3))
    cells = {"gradient": 2, "clouds": int(random.integers(3, 40)), "blocks": int(random.integers(2, 24))}[kind]
    tint, contrast = random.integers(0, 256, 3), random.uniform(0.1, 0.8)
    seeds = random.integers(0, 256, (cells, max(2, cells * width // height), 3))
    seeds = np.rint(tint + (seeds - tint) * contrast).astype(np.uint8)
    resample = Image.Resampling.NEAREST if kind == "blocks" else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(seeds).resize((width, height), resample))


def _studio(size: tuple[int, int], random: np.random.Generator) -> Picture:
    """A light background as in a shop's catalogue: one tone, or one tone fading softly into another."""
    height, width = size
    level, tint = random.choice([255, 250, 240, 225, 205]), random.uniform(-6, 6, 3)
    ends = np.clip(level + tint + random.uniform(-30, 4, (2, 2, 1)) * (random.random() < 0.5), 0, 255)
    seeds = np.rint(ends).astype(np.uint8)
    return np.asarray(Image.fromarray(seeds).resize((width, height), Image.Resampling.BICUBIC))


def _replace_background(image: Picture, labels: LabelMap, scenery: Picture) -> Picture:
    """The person of the label map before other scenery, with a soft edge of about a pixel."""
    mask = Image.fromarray((labels != vocabulary.BACKGROUND).astype(np.uint8) * 255)
    alpha = np.asarray(mask.filter(ImageFilter.BoxBlur(1)), np.float32)[..., None] / 255
    return np.rint(image * alpha + scenery * (1 - alpha)).astype(np.uint8)


def _occlude(
    image: Picture, joints: skeleton.Joints, labels: LabelMap, random: np.random.Generator
) -> tuple[Picture, skeleton.Joints, LabelMap]:
    """Cover a rectangle with other scenery; what it hides is background, its joints are missing."""
    height, width = labels.shape
    box_h, box_w = (int(length * random.uniform(0.08, 0.35)) for length in (height, width))
    top, left = int(random.integers(0, height - box_h)), int(random.integers(0, width - box_w))
    image, labels, joints = image.copy(), labels.copy(), joints.copy()
    image[top : top + box_h, left : left + box_w] = _scenery((box_h, box_w), random)
    labels[top : top + box_h, left : left + box_w] = vocabulary.BACKGROUND
    x, y = joints[:, 0], joints[:, 1]
    # Pixel centres are at whole numbers: the first covered one reaches half a pixel further out.
    covered = (x >= left - 0.5) & (x < left + box_w - 0.5) & (y >= top - 0.5) & (y < top + box_h - 0.5)
    joints[covered] = skeleton.MISSING
    return image, joints, labels


def _degrade(image: Picture, strength: Strength, random: np.random.Generator) -> Picture:
    """The picture as another camera, another light and another encoder would give it."""
    if random.random() < strength.colour:
        image = _recolour(image, random)
    if random.random() < strength.blur:
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(random.uniform(0.4, 2.0))))
    if random.random() < strength.noise:
        noise = random.standard_normal(image.shape, np.float32) * random.uniform(2, 16)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < strength.jpeg:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(random.integers(25, 90)))
        image = np.asarray(Image.open(buffer))
    return np.ascontiguousarray(image)


def _recolour(image: Picture, random: np.random.Generator) -> Picture:
    """Other exposure, contrast, saturation and white balance: one matrix and one table."""
    saturation = random.uniform(0.0, 1.6) if random.random() < 0.8 else 0.0
    grey = np.full((3, 3), 1 / 3)
    balance = np.diag(random.uniform(0.8, 1.2, 3))
    matrix = balance @ (grey + saturation * (np.eye(3) - grey))
    gain, level, gamma = random.uniform(0.6, 1.4), random.uniform(-35, 35), math.exp(random.uniform(-0.4, 0.4))
    table = (255 * (np.arange(256) / 255) ** gamma).astype(np.float32)
    return np.clip((table[image] @ matrix.T.astype(np.float32) - 128) * gain + 128 + level, 0, 255).astype(np.uint8)
