"""Random changes to a training picture, its joints and its label map: so that rendered people stand for real ones."""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pipeline.people import labels as vocabulary
from pipeline.people import skeleton

Picture = NDArray[np.uint8]
LabelMap = NDArray[np.uint8]


@dataclass(frozen=True)
class Strength:
    """How strongly pictures are changed; chances are per picture."""

    scale: tuple[float, float] = (0.6, 1.25)
    """Range of the size of the person against the original, drawn evenly in its logarithm."""
    close_up: float = 0.2
    """Chance of a close-up instead: 1.3 to 2.2 times, around one of the joints."""
    aspect: float = 0.1
    """Largest relative stretch of the width against the height."""
    rotation_deg: float = 22.0
    background: float = 0.6
    """Chance that what the label map calls background is replaced."""
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
    scenery = _scenery(image.shape[:2], random)
    image, joints, labels, inside = _move(image, joints, labels, strength, random)
    image = np.where(inside[..., None], image, scenery)
    if has_labels and random.random() < strength.background:
        image = _replace_background(image, labels, scenery)
    if random.random() < strength.occlusion:
        image, joints, labels = _occlude(image, joints, labels, random)
    return _degrade(image, strength, random), joints, labels


def _move(
    image: Picture, joints: skeleton.Joints, labels: LabelMap, strength: Strength, random: np.random.Generator
) -> tuple[Picture, skeleton.Joints, LabelMap, NDArray[np.bool_]]:
    """The example under a random similarity with a slight stretch, and where the moved picture has pixels."""
    height, width = labels.shape
    present = np.flatnonzero(skeleton.is_present(joints))
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    focus = centre
    if present.size and random.random() < strength.close_up:
        scale = random.uniform(1.3, 2.2)
        focus = joints[random.choice(present), :2].astype(np.float64)
        free = 0.25
    else:
        scale = math.exp(random.uniform(math.log(strength.scale[0]), math.log(strength.scale[1])))
        free = max(0.08, (1 - scale) / 2)
    angle = math.radians(random.normal(0, strength.rotation_deg / 2))
    stretch = 1 + random.uniform(-strength.aspect, strength.aspect)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    forward = turn @ np.diag([scale * stretch, scale])
    target = centre + random.uniform(-free, free, 2) * (width, height)

    # Pillow asks where each target pixel comes from, and counts from pixel corners.
    backward = np.linalg.inv(forward)
    offset = focus + 0.5 - backward @ (target + 0.5)
    matrix = (*backward[0], offset[0], *backward[1], offset[1])
    moved = _warp(image, matrix, Image.Resampling.BILINEAR)
    moved_labels = _warp(labels, matrix, Image.Resampling.NEAREST)
    inside = _warp(np.full(labels.shape, 255, np.uint8), matrix, Image.Resampling.NEAREST) > 0

    out = joints.copy()
    out[:, :2] = (joints[:, :2] - focus) @ forward.T + target
    out[~skeleton.is_present(joints), 2] = 0
    # A shift by nothing: drops the joints that left the frame.
    return moved, skeleton.move(_mark(out), offset=(0, 0), scale=(1, 1), size=(width, height)), moved_labels, inside


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
