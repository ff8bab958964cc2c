"""Faces: eyes, brows and mouth painted at places of the base mesh; skin tints."""

from dataclasses import dataclass

import numpy as np

from pipeline.render.bodies import Floats
from pipeline.render.patterns import Colour, noise
from pipeline.render.vectors import row

EYE = np.array([0.0318, 0.7285], np.float32)


@dataclass(frozen=True)
class Face:
    """Colours (0..1 RGB) of a face; `beard` and `make_up` 0..1; `eye_size` of drawn eyes, 0 for natural ones."""

    skin: Colour
    iris: Colour
    brow: Colour
    lips: Colour
    beard: float = 0.0
    make_up: float = 0.0
    eye_size: float = 0.0


def paint_skin(face: Face, place: Floats) -> Floats:
    """(N, 3) colours of natural skin with brows, lips, eye line and beard."""
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    out = np.tile(np.array(face.skin, np.float32), (len(x), 1))
    out *= (1 + 0.03 * noise(place * 22, 3))[:, None]
    front = (z > 0.075) & (y > 0.60)
    cheek = np.exp(-(((x - 0.047) / 0.02) ** 2 + ((y - 0.69) / 0.02) ** 2)) * front
    _mix(out, np.array(face.skin) * [1.05, 0.80, 0.78], cheek * (0.25 + 0.35 * face.make_up))
    beard = np.clip((0.672 - y) / 0.02, 0, 1) * np.clip((0.115 - np.hypot(x, (y - 0.70))) / 0.02, 0, 1) * (z > 0.05)
    moustache = np.clip(1.3 - np.hypot(x / 0.027, (y - 0.6725 + 0.25 * x * x / 0.027) / 0.0055), 0, 1)
    _mix(out, face.brow, np.maximum(beard, moustache) * front * face.beard * 0.85 * (y > 0.608))
    lip = 1 - np.hypot(x / 0.0265, (y - 0.6595) / np.where(y > 0.6595, 0.0085, 0.0105))
    _mix(out, face.lips, np.clip(lip * 4, 0, 1) * front)
    _mix(out, np.array(face.lips) * 0.35, np.clip(1 - np.abs(y - 0.6605) / 0.0016, 0, 1) * (x < 0.024) * front * 0.7)
    lid = 1 - np.abs(np.hypot((x - EYE[0]) / 0.0185, (y - EYE[1]) / 0.0085) - 1) / 0.30
    _mix(
        out, np.array(face.brow) * 0.5, np.clip(lid, 0, 1) * front * (0.30 + 0.5 * face.make_up) * (y > EYE[1] - 0.004)
    )
    arch = 0.7495 + 0.0035 * np.sin(np.clip((x - 0.012) / 0.044, 0, 1) * np.pi) - 0.03 * np.clip(x - 0.03, 0, None)
    brow = (
        np.clip(1.4 - np.abs(y - arch) / 0.0030, 0, 1)
        * np.clip((x - 0.011) / 0.004, 0, 1)
        * np.clip((0.056 - x) / 0.008, 0, 1)
    )
    _mix(out, face.brow, brow * front * 0.8)
    return out.astype(np.float32)


def paint_eyes(face: Face, place: Floats) -> Floats:
    """(N, 3) colours of natural eyeballs."""
    distance = np.hypot(np.abs(place[:, 0]) - EYE[0], place[:, 1] - EYE[1])
    out = np.tile(row(0.93, 0.92, 0.90), (len(place), 1))
    out[distance < 0.0072] = np.array(face.iris, np.float32)
    out[distance < 0.0034] = 0.03
    return out


def paint_drawn(face: Face, place: Floats) -> Floats:
    """(N, 3) colours of a drawn face: large eyes with lashes and lights, thin brows, a small mouth."""
    side, x, y, z = np.sign(place[:, 0]), np.abs(place[:, 0]), place[:, 1], place[:, 2]
    out = np.tile(np.array(face.skin, np.float32), (len(x), 1))
    front = (z > 0.085) & (y > 0.60)
    wide, tall = 0.0255 * face.eye_size, 0.0300 * face.eye_size
    u, v = (x - 0.0375) / wide, (y - 0.714) / tall
    ball = np.hypot(u, v)
    ball = np.where(v > 0.55, np.maximum(ball, v / 0.80), ball)
    blush = np.exp(-(((x - 0.052) / 0.014) ** 2 + ((y - 0.672) / 0.008) ** 2))
    _mix(out, np.array(face.skin) * [1.0, 0.70, 0.68], blush * front * 0.6)
    _set(out, front & (ball < 1), (1.0, 1.0, 1.0))
    iris = np.hypot((u + 0.05) / 0.74, (v + 0.02) / 0.90)
    _set(out, front & (ball < 1) & (iris < 1), np.array(face.iris) * 0.45)
    _set(out, front & (ball < 1) & (iris < 0.86), face.iris)
    _set(out, front & (ball < 1) & (iris < 0.86) & (v < -0.25), np.clip(np.array(face.iris) * 1.5 + 0.1, 0, 1))
    _set(out, front & (np.hypot((u + 0.05) / 0.34, v / 0.48) < 1), np.array(face.iris) * 0.12)
    _set(out, front & (np.hypot(u * side - 0.22 * 1, v - 0.36) < 0.24), (1.0, 1.0, 1.0))
    lash = (ball >= 0.97) & (ball < 1.16) & (v > 0.10)
    corner = (u > 0.75) & (u < 1.22) & (np.abs(v - 0.42 - 0.25 * (u - 0.75)) < 0.11)
    _set(out, front & (lash | corner), np.array(face.brow) * 0.35)
    brow = (
        (np.abs(y - 0.757 - 0.006 * np.sin(np.clip((x - 0.015) / 0.045, 0, 1) * 2.6)) < 0.0026)
        & (x > 0.016)
        & (x < 0.056)
    )
    _set(out, front & brow, face.brow)
    smile = (np.abs(y - 0.6560 - 9.0 * x * x) < 0.0019) & (x < 0.019)
    _set(out, front & smile, np.array(face.lips) * 0.6)
    _set(out, front & (np.hypot(x / 0.0035, (y - 0.683) / 0.002) < 1), np.array(face.skin) * 0.78)
    return out.astype(np.float32)


def _mix(out: Floats, colour: object, share: Floats) -> None:
    out += np.clip(share, 0, 1)[:, None].astype(np.float32) * (np.asarray(colour, np.float32) - out)


def _set(out: Floats, chosen: np.ndarray, colour: object) -> None:
    out[chosen] = np.asarray(colour, np.float32)
