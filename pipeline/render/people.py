"""A picture of one person, with its joints and its label map: a pure function of a specification."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.render import assembly, backdrops, shading, tracing
from pipeline.render.bodies import Floats
from pipeline.render.faces import Face
from pipeline.render.garments import Garment
from pipeline.render.hair import Hair
from pipeline.render.posing import Pose

SUPERSAMPLING = 3


@dataclass(frozen=True)
class FigureSpec:
    """Everything that a picture depends on. Two equal specifications give the same bytes."""

    id: str
    person: str
    pose: str
    split: str  # train | val | test
    style: str  # natural | toon
    phenotype: tuple[tuple[str, float], ...]
    outfit: tuple[Garment, ...]  # outermost last
    hair: Hair
    face: Face
    stance: Pose
    view: tracing.View
    light: shading.Light
    backdrop: backdrops.Backdrop
    head_size: float = 1.0
    grain: float = 0.0


@dataclass(frozen=True)
class Figure:
    """A finished picture: image (H, W, 3) uint8 RGB, labels (H, W) uint8, joints (18, 3) x, y, score in pixels."""

    id: str
    person: str
    pose: str
    split: str
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    joints: NDArray[np.float32]
    yaw_deg: float


def render(spec: FigureSpec, *, width: int = 176, height: int = 256) -> Figure:
    """The picture of a specification; the same bytes in every process."""
    calm = 0.85 if spec.style == "toon" else 0.0
    surface = assembly.assemble(spec.phenotype, spec.outfit, spec.hair, spec.stance, spec.head_size, calm)
    scene = tracing.build(surface)
    camera = tracing.aim(spec.view, surface.points, width / height)
    fine = (width * SUPERSAMPLING, height * SUPERSAMPLING)
    origins, directions = camera.rays(*fine)
    rays = _rays_near(camera, surface, fine)
    hits = tracing.trace(scene, surface, spec.outfit, spec.hair, origins[rays], directions[rays])
    hits = replace(hits, ray=rays[hits.ray].astype(np.int32))
    colour = shading.albedo(hits, spec.outfit, spec.hair, spec.face)
    view, axes = directions[hits.ray], camera.axes()
    if spec.style == "toon":
        lit = shading.drawn(hits, colour, spec.light, axes, view)
    else:
        lit = shading.natural(hits, colour, scene, spec.light, axes, view)
    behind = backdrops.paint(spec.backdrop, width, height)
    behind = _with_shadow(behind, camera, surface)
    picture = np.repeat(np.repeat(behind, SUPERSAMPLING, 0), SUPERSAMPLING, 1).reshape(-1, 3)
    picture[hits.ray] = lit
    if spec.style == "toon":
        picture[_ink(hits, fine)] = (0.13, 0.09, 0.12)
    return Figure(
        spec.id, spec.person, spec.pose, spec.split,
        _photograph(picture.reshape(fine[1], fine[0], 3), spec),
        _label_map(hits, fine),
        tracing.seen_joints(scene, surface, spec.outfit, spec.hair, camera, (width, height)),
        spec.view.yaw_deg,
    )  # fmt: skip


def _rays_near(camera: tracing.Camera, surface: assembly.Surface, fine: tuple[int, int]) -> NDArray[np.int64]:
    """The rays inside the box that the mesh fills."""
    pixels = camera.project(surface.points, *fine)
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 2, fine)
    grid = np.arange(fine[0] * fine[1]).reshape(fine[1], fine[0])
    return grid[low[1] : high[1], low[0] : high[0]].ravel()


def _with_shadow(behind: Floats, camera: tracing.Camera, surface: assembly.Surface) -> Floats:
    """The ground darkened about the feet."""
    height, width = behind.shape[:2]
    origins, directions = camera.rays(width, height)
    down = np.where(directions[:, 1] < -1e-4, -origins[:, 1] / np.minimum(directions[:, 1], -1e-4), np.inf)
    ground = (origins + directions * np.minimum(down, 50)[:, None].astype(np.float32))[:, [0, 2]]
    feet = surface.points[surface.points[:, 1] < 0.08][:, [0, 2]]
    near = np.full(len(ground), 9.0, np.float32)
    candidates = np.flatnonzero(np.isfinite(down) & (down < 50))
    for place in feet[:: max(1, len(feet) // 40)]:
        near[candidates] = np.minimum(near[candidates], np.hypot(*(ground[candidates] - place).T))
    dark = 0.5 * np.exp(-((near / 0.10) ** 2)) + 0.22 * np.exp(-((near / 0.30) ** 2))
    return behind * (1 - dark.reshape(height, width, 1) * 0.8)


def _ink(hits: tracing.Hits, fine: tuple[int, int]) -> NDArray[np.bool_]:
    """(N) which of the fine pixels are outline: in face and hair only silhouettes, around the mouth nothing."""
    count, shape = fine[0] * fine[1], (fine[1], fine[0])
    layer, depth, normal = (
        np.full(count, -1, np.int16),
        np.full(count, 99.0, np.float32),
        np.zeros((count, 3), np.float32),
    )
    layer[hits.ray], depth[hits.ray], normal[hits.ray] = hits.layer, hits.depth, hits.normal
    layer[layer == assembly.EYES] = assembly.SKIN
    calm, mouth = np.zeros(count, bool), np.zeros(count, bool)
    calm[hits.ray] = (hits.place[:, 1] > 0.63) & (hits.hanging < 1.5)
    x, y = np.abs(hits.place[:, 0]), hits.place[:, 1]
    mouth[hits.ray] = (
        (hits.layer == assembly.SKIN) & (x < 0.034) & (y > 0.635) & (y < 0.682) & (hits.place[:, 2] > 0.03)
    )
    lines = shading.ink(layer.reshape(shape), depth.reshape(shape), normal.reshape(*shape, 3), calm.reshape(shape), 2)
    return lines.ravel() & ~mouth


def _photograph(picture: Floats, spec: FigureSpec) -> NDArray[np.uint8]:
    """Averaged down to the picture's size, softened, with grain, as sRGB bytes."""
    height, width = (length // SUPERSAMPLING for length in picture.shape[:2])
    small = picture.reshape(height, SUPERSAMPLING, width, SUPERSAMPLING, 3).mean(axis=(1, 3))
    if spec.grain:
        rng = np.random.default_rng([17, spec.backdrop.seed])
        small = small + rng.normal(0, spec.grain, small.shape)
    return np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)


def _label_map(hits: tracing.Hits, fine: tuple[int, int]) -> NDArray[np.uint8]:
    """The label of most samples of each pixel; a pixel that is half person is person."""
    votes = np.zeros(fine[0] * fine[1], np.uint8)
    votes[hits.ray] = hits.label
    cells = votes.reshape(fine[1] // SUPERSAMPLING, SUPERSAMPLING, fine[0] // SUPERSAMPLING, SUPERSAMPLING)
    counts = np.stack([(cells == label).sum(axis=(1, 3)) for label in range(8)])
    person = counts[1:].sum(axis=0) * 2 > SUPERSAMPLING**2
    return np.where(person, counts[1:].argmax(axis=0) + 1, 0).astype(np.uint8)
