"""How the people of a domain stand: where their joints are, which way they face, how much of the picture they fill."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.people.skeleton import JOINTS, LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, Joints, is_present
from stages import artifacts
from stages.report import charts
from stages.sheets import choose

_MOST_CLOUDED = 120
_SIDES = ("left", "right", "")


@dataclass(frozen=True)
class Poses:
    """Drawings of the poses of `count` pictures."""

    count: int
    cloud: Markup
    turns: Markup
    heights: Markup


def read_poses(domain: str, width: int, height: int) -> Poses | None:
    """The poses of a domain's pictures (`width` x `height`); None where no joints were found yet."""
    path = artifacts.artifact("keypoints", domain, "keypoints.parquet")
    found = artifacts.read_keypoints(path) if path.is_file() else {}
    if not found:
        return None
    everybody = np.stack(list(found.values()))
    return Poses(
        len(found),
        draw_cloud(np.stack([found[name] for name in choose(found, _MOST_CLOUDED)]), width, height),
        charts.histogram(turns(everybody), -1.0, 1.0, ("from behind", "side", "from the front")),
        charts.histogram(heights(everybody) / height, 0.0, 1.0, ("0", "half", "whole picture")),
    )


def turns(joints: Joints) -> NDArray[np.float64]:
    """Width of the shoulders over length of the torso, of those (N, 18, 3) who show both: below 0 from behind."""
    shown = is_present(joints)[:, [LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP]].all(axis=1)
    places = joints[shown, :, :2].astype(np.float64)
    left, right = places[:, LEFT_SHOULDER], places[:, RIGHT_SHOULDER]
    torso = (left + right - places[:, LEFT_HIP] - places[:, RIGHT_HIP]) / 2
    return (left - right)[:, 0] / np.maximum(np.linalg.norm(torso, axis=1), 1.0)


def heights(joints: Joints) -> NDArray[np.float64]:
    """From the highest joint to the lowest, in pixels, of those (N, 18, 3) who have any."""
    there = is_present(joints)
    y = np.where(there, joints[..., 1], np.nan).astype(np.float64)[there.any(axis=1)]
    return np.nanmax(y, axis=1) - np.nanmin(y, axis=1)


def draw_cloud(joints: Joints, width: int, height: int) -> Markup:
    """The joints of all pictures (N, 18, 3) in one frame, coloured by side."""
    paths = []
    for side in _SIDES:
        mine = [i for i, name in enumerate(JOINTS) if (name.partition("_")[0] if "_" in name else "") == side]
        some = joints[:, mine]
        places = some[is_present(some)][:, :2]
        steps = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in places)
        paths.append(f'<path class="{side or "middle"}" d="{steps}"/>')
    frame = f'<rect width="{width}" height="{height}"/>'
    return Markup(
        f'<svg class="cloud" viewBox="0 0 {width} {height}" role="img" aria-label="Where the joints are">'
        f"{frame}{''.join(paths)}</svg>"
    )
