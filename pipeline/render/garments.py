"""Garments: how each is cut. A cut is a signed distance in metres, above 0 inside the cloth, read at places.

Places are coordinates of the unmorphed base mesh at rest (metres, y up, z front; crown 0.85, soles -0.82, waist about
0.15), so one cut fits every body and hems stay sharp at any resolution.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.people import labels
from pipeline.render.bodies import Floats
from pipeline.render.patterns import Cloth
from pipeline.render.vectors import row

WAIST, CROTCH, KNEE, ANKLE = 0.13, -0.03, -0.37, -0.735
SHOULDER = np.array([0.160, 0.530, 0.015], np.float32)
ELBOW_ALONG = 0.24
_UPPER_AXIS = np.array([0.653, -0.757, 0.0], np.float32)
_LOWER_AXIS = np.array([0.554, -0.488, 0.675], np.float32)
SLEEVES = {"none": -0.012, "cap": 0.07, "short": 0.15, "half": 0.235, "three": 0.34, "long": 0.432}
OUTSIDE = np.float32(-1.0)


@dataclass(frozen=True)
class Spots:
    """Points on surfaces: their places on the base mesh (N, 3) and how much they belong to an arm (N), 0..1."""

    place: Floats
    arm: Floats

    def along_arm(self) -> Floats:
        """(N) metres from the shoulder joint along the arm; below -0.02 on the torso."""
        place = self.place * np.where(self.place[:, :1] < 0, row(-1, 1, 1), np.float32(1))
        upper = (place - SHOULDER) @ _UPPER_AXIS
        elbow = SHOULDER + _UPPER_AXIS * np.float32(ELBOW_ALONG)
        lower = ELBOW_ALONG + (place - elbow) @ _LOWER_AXIS
        along = np.where(upper < ELBOW_ALONG, upper, np.maximum(lower, ELBOW_ALONG))
        return np.where(self.arm > 0.5, along, np.minimum(along, -0.02)).astype(np.float32)


@dataclass(frozen=True)
class Garment:
    """One piece of clothing; in an outfit the outermost comes last."""

    kind: str  # top | jacket | pants | skirt | shoes | hose
    label: int
    cloth: Cloth
    hem: float  # height of the lower edge (a place's y)
    waist: float = 1.0  # height of the upper edge
    sleeve: float = 0.0  # metres along the arm
    neck: str = "crew"  # crew | v | scoop | boat | high | strap | wide
    thickness: float = 0.008
    flare: float = 0.0  # how much wider per metre below the waist (top), the knee (pants) or the waist (skirt)
    smooth: int = 4  # rounds of smoothing: more hangs looser

    @property
    def shell(self) -> str:
        """The group of the base mesh that carries it."""
        return "helper-skirt" if self.kind == "skirt" else "helper-tights"

    def inside(self, spots: Spots) -> Floats:
        """(N) metres inside the cut's edge, negative outside."""
        y = spots.place[:, 1]
        if self.kind in ("top", "jacket"):
            depth = np.minimum(y - self.hem, self.sleeve - spots.along_arm())
            depth = np.where(spots.arm > 0.5, self.sleeve - spots.along_arm(), depth)
            depth = np.minimum(depth, _neckline(self.neck, spots.place))
            if self.kind == "jacket":
                depth = np.minimum(depth, _front_opening(spots.place))
            return depth
        depth = np.minimum(y - self.hem, self.waist - y)
        return np.where((spots.arm > 0.3) | (y > 0.45), OUTSIDE, depth)

    def widen(self, place: Floats) -> Floats:
        """(N) metres by which the shell stands off the body at these places."""
        x, y = np.abs(place[:, 0]), place[:, 1]
        out = np.full(len(place), self.thickness, np.float32)
        if self.kind in ("top", "jacket"):
            near_neck = np.clip(_neckline(self.neck, place) / 0.06, 0, 1)
            out *= np.where(x < 0.16, 0.3 + 0.7 * near_neck, 1.0)
            out += self.flare * np.clip(0.35 - y, 0, 0.5) * (x < 0.25)
            along = Spots(place, np.ones(len(place), np.float32)).along_arm()
            out += np.where((x > 0.2) & (y > 0.1), self.flare * 0.10 * np.clip(along, 0, 0.3) / 0.3, 0)
        if self.kind == "pants":
            out += self.flare * np.clip(0.0 - y, 0, 1.0)
        if self.kind == "shoes":
            out += 0.004 * (y < -0.79)
        return out


def _neckline(name: str, place: Floats) -> Floats:
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    front = z > 0.02
    depth = np.interp(z, (-0.02, 0.09), (4.5, 1.55))
    edge = np.hypot(x, np.minimum(y - 0.60, 0) * depth) - 0.084
    if name == "high":
        return 0.615 - 0.25 * (z - 0.02) - y
    if name == "v":
        return np.where(front, np.minimum(edge, np.maximum(0.415 + 1.75 * x - y, x - 0.10)), edge)
    if name == "scoop":
        return np.where(front, np.minimum(edge, np.hypot(x, (y - 0.565) * 0.85) - 0.095), edge)
    if name == "boat":
        return np.maximum(0.535 - y, x - 0.115)
    if name == "strap":
        bare = np.where(front, 0.455, 0.46) - y
        return np.maximum(bare, np.minimum(0.022 - np.abs(x - 0.085), 0.022))
    if name == "wide":
        return np.minimum(np.maximum(0.52 - y, x - 0.14), np.maximum(np.hypot(x, y - 0.57) - 0.11, x - 0.14))
    return edge


def _front_opening(place: Floats) -> Floats:
    """Above 0 beside the open front of a jacket: a gap that widens downwards."""
    gap = 0.030 + 0.10 * np.clip(0.42 - place[:, 1], 0, 0.5)
    return np.where(place[:, 2] > 0.03, np.abs(place[:, 0]) - gap, 1.0).astype(np.float32)


def skin_label(spots: Spots) -> np.ndarray:
    """(N) uint8 labels of bare skin: arm, leg, and face for head, neck and bare torso."""
    out = np.full(len(spots.place), labels.FACE, np.uint8)
    out[spots.place[:, 1] < 0.08] = labels.LEG
    out[spots.arm > 0.4] = labels.ARM
    return out
