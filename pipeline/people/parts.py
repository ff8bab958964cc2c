"""The ten rigid parts of a body, the affine moves between two poses of each, and the ten labels of SPT.

Parts as in Deformable GAN (Siarohin et al. 2018) with SPT's changes: the torso, the head, and two bands for each limb.
A move takes pixels of the target to pixels of the source, as sampling needs it. Shapes: J the 18 joints, P the ten
parts; leading dimensions are free.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.people.labels import ARM, LEG, LabelMap
from pipeline.people.skeleton import (
    LEFT_ANKLE,
    LEFT_EAR,
    LEFT_ELBOW,
    LEFT_EYE,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_EAR,
    RIGHT_ELBOW,
    RIGHT_EYE,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    Joints,
    is_present,
)

Floats = NDArray[np.float64]

PARTS = (
    "body", "head", "right_thigh", "left_thigh", "right_shin", "left_shin",
    "right_upper_arm", "left_upper_arm", "right_forearm", "left_forearm",
)  # fmt: skip
BODY, HEAD = 0, 1
TORSO = (RIGHT_HIP, LEFT_HIP, LEFT_SHOULDER, RIGHT_SHOULDER)
HEAD_POINTS = (LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, NOSE)

# Joints of the parts 2 to 9, in their order.
BANDS = (
    (RIGHT_HIP, RIGHT_KNEE), (LEFT_HIP, LEFT_KNEE), (RIGHT_KNEE, RIGHT_ANKLE), (LEFT_KNEE, LEFT_ANKLE),
    (RIGHT_SHOULDER, RIGHT_ELBOW), (LEFT_SHOULDER, LEFT_ELBOW), (RIGHT_ELBOW, RIGHT_WRIST), (LEFT_ELBOW, LEFT_WRIST),
)  # fmt: skip
_OTHER_SIDE = [1, 0, 3, 2, 5, 4, 7, 6]
_IS_LOWER = np.array([False, False, True, True, False, False, True, True])
# How far bands reach beyond their first joint and, in masks and in moves, beyond the second; shares of their lengths.
_BEFORE, _BEYOND_UPPER, _BEYOND_LOWER_MASK, _BEYOND_LOWER_MOVE = 0.1, 0.1, 0.5, 0.3
_BAND_SHARE, HEAD_SHARE = 0.2, 0.40  # of the torso's length: half a band's width, half the head's box

# The move of a part that one of the two does not show: it samples nothing.
NOWHERE = np.array([[1.0, 0.0, 1000.0], [0.0, 1.0, 1000.0]])

# SPT's ten labels; those of our eight, arms and legs as the right ones; and how these are split: our label, the left
# one of SPT's, the segments between joints of the left and of the right.
TEN_LABELS = (
    "background", "face", "hair", "upper_clothes", "pants", "skirt", "left_arm", "right_arm", "left_leg", "right_leg",
)  # fmt: skip
TEN_OF_EIGHT = (0, 2, 1, 3, 4, 5, 7, 9)
SPLITS = (
    (ARM, 6, ((LEFT_SHOULDER, LEFT_ELBOW), (LEFT_ELBOW, LEFT_WRIST)),
     ((RIGHT_SHOULDER, RIGHT_ELBOW), (RIGHT_ELBOW, RIGHT_WRIST))),
    (LEG, 8, ((LEFT_HIP, LEFT_KNEE), (LEFT_KNEE, LEFT_ANKLE)), ((RIGHT_HIP, RIGHT_KNEE), (RIGHT_KNEE, RIGHT_ANKLE))),
)  # fmt: skip


def torso_length(joints: Joints) -> Floats:
    """(...) root mean square of the distances hip to shoulder of both sides of (..., 18, 3).

    Where one side is not whole, the other's; 0 where neither is, and then no part is there.
    """
    there = is_present(joints)
    sides = ((RIGHT_HIP, RIGHT_SHOULDER), (LEFT_HIP, LEFT_SHOULDER))
    squares = [((joints[..., a, :2] - joints[..., b, :2]).astype(np.float64) ** 2).sum(-1) for a, b in sides]
    whole = [there[..., a] & there[..., b] for a, b in sides]
    total = squares[0] * whole[0] + squares[1] * whole[1]
    length: Floats = np.sqrt(total / np.maximum(whole[0].astype(int) + whole[1], 1))
    return length


def bands(joints: Joints, *, beyond_lower: float = _BEYOND_LOWER_MASK) -> Floats:
    """(..., 8, 4, 2) corners of the limbs' bands; NaN where a joint is missing or both are in one place."""
    there, places = is_present(joints), joints[..., :2].astype(np.float64)
    starts, ends = (places[..., [band[end] for band in BANDS], :] for end in (0, 1))
    starts = starts + _BEFORE * (starts - ends)
    ends = ends + np.where(_IS_LOWER, beyond_lower, _BEYOND_UPPER)[:, None] * (ends - starts)
    along = starts - ends
    length = np.hypot(along[..., 0], along[..., 1])
    half_px = _BAND_SHARE * torso_length(joints)
    known = np.logical_and(*(there[..., [band[end] for band in BANDS]] for end in (0, 1)))
    known &= (length > 0) & (half_px[..., None] > 0)
    across = np.stack([-along[..., 1], along[..., 0]], -1) / np.where(length > 0, length, 1)[..., None]
    across = across * half_px[..., None, None]
    corners = np.stack([starts + across, starts - across, ends - across, ends + across], -2)
    return np.where(known[..., None, None], corners, np.nan)


def head_box(joints: Joints) -> Floats:
    """(..., 4): left, top, right, bottom of the square around the head's points; NaN without any, or without torso.

    The middle and half the side are cut to whole pixels. The pixels from `left` up to, not including, `right` belong.
    """
    there = is_present(joints)[..., HEAD_POINTS]
    places = np.where(there[..., None], joints[..., HEAD_POINTS, :2].astype(np.float64), 0)
    count, length = there.sum(-1), torso_length(joints)
    middle = np.trunc(places.sum(-2) / np.maximum(count, 1)[..., None])
    half_px = np.trunc(HEAD_SHARE * length)[..., None]
    box = np.concatenate([middle - half_px, middle + half_px], -1)
    return np.where(((count > 0) & (length > 0))[..., None], box, np.nan)


def part_planes(joints: Joints, *, body: str = "picture") -> Floats:
    """(..., 10, 4, 3) half planes that bound the parts: inside is where a x + b y + c >= 0 holds for all four.

    What is missing is nowhere inside. The body is the whole `picture`, as SPT has it, or the four-cornered `torso`.
    """
    box = head_box(joints)
    # Half a pixel less, so that the whole pixels inside are those of the half-open box.
    left, top, right, bottom = (box[..., side] - 0.5 for side in range(4))
    head = np.stack([np.stack([left, right, right, left], -1), np.stack([top, top, bottom, bottom], -1)], -1)
    there = np.asarray(is_present(joints)[..., TORSO].all(-1))
    torso = np.where(there[..., None, None], joints[..., TORSO, :2].astype(np.float64), np.nan)
    corners = np.concatenate([torso[..., None, :, :], head[..., None, :, :], bands(joints)], -3)
    planes = _planes(corners)
    if body == "picture":
        planes[..., BODY, :, :] = 0
    return planes


def _planes(corners: Floats) -> Floats:
    """The half planes of convex quadrangles (..., 4, 2), whichever way round; NaN corners give an empty part."""
    following = np.roll(corners, -1, -2)
    edges = following - corners
    normals = np.stack([-edges[..., 1], edges[..., 0]], -1)
    # Twice the signed area: negative where the corners go round the other way.
    area = (corners[..., 0] * following[..., 1] - corners[..., 1] * following[..., 0]).sum(-1)
    normals = normals * np.sign(area)[..., None, None]
    planes = np.concatenate([normals, -(normals * corners).sum(-1, keepdims=True)], -1)
    nothing = np.broadcast_to([0.0, 0.0, -1.0], planes.shape)
    is_there = np.greater(np.abs(area)[..., None, None], 0)
    return np.where(is_there, np.nan_to_num(planes), nothing)


def draw_parts(planes: NDArray[np.floating], *, width: int, height: int) -> NDArray[np.bool_]:
    """(..., H, W) which pixels lie inside the parts of (..., 4, 3) half planes; their borders belong."""
    x, y = np.arange(width, dtype=planes.dtype), np.arange(height, dtype=planes.dtype)[:, None]
    inside = np.ones((*planes.shape[:-2], height, width), bool)
    for side in range(planes.shape[-2]):
        a, b, c = (planes[..., side, term, None, None] for term in range(3))
        inside &= a * x >= -(b * y + c)
    return inside


def part_moves(source: Joints, target: Joints, *, mirror: bool = True) -> Floats:
    """(..., 10, 2, 3) affine moves from pixels of the target to pixels of the source, of (..., 18, 3) each.

    Fitted by the normalised direct linear transform. A limb that the source does not show is taken from its other side
    (with `mirror`). What is missing in the target, in the source on both sides, or cannot be inverted is `NOWHERE`.
    """
    source, target = np.broadcast_arrays(source, target)
    there = is_present(source) & is_present(target)
    body = _fit(source[..., TORSO, :2], target[..., TORSO, :2], there[..., TORSO])
    body[~there[..., TORSO].all(-1)] = NOWHERE

    points = (*HEAD_POINTS, LEFT_SHOULDER, RIGHT_SHOULDER)
    head = _fit(source[..., points, :2], target[..., points, :2], there[..., points])
    has_head = there[..., HEAD_POINTS].any(-1) & there[..., LEFT_SHOULDER] & there[..., RIGHT_SHOULDER]
    head[~has_head] = NOWHERE

    ours, theirs = (bands(joints, beyond_lower=_BEYOND_LOWER_MOVE) for joints in (source, target))
    if mirror:
        ours = np.where(np.isnan(ours), ours[..., _OTHER_SIDE, :, :], ours)
    known = ~np.asarray((np.isnan(ours) | np.isnan(theirs)).any((-1, -2)))
    limbs = _fit(np.nan_to_num(ours), np.nan_to_num(theirs), np.broadcast_to(known[..., None], (*known.shape, 4)))
    limbs[~known] = NOWHERE
    return np.concatenate([body[..., None, :, :], head[..., None, :, :], limbs], -3)


def _fit(source: NDArray[Any], target: NDArray[Any], used: NDArray[np.bool_]) -> Floats:
    """(..., 2, 3) from `target` to `source` points (..., N, 2), of those that are `used`: scikit-image's estimate.

    Both are centred and scaled to a mean square distance of 2; of the homogeneous equations in six unknowns and a scale
    the solution is the smallest singular vector. `NOWHERE` where points coincide or lie on a line.
    """
    (ours, our_middle, our_scale), (theirs, their_middle, their_scale) = (
        _normalised(points.astype(np.float64), used) for points in (source, target)
    )
    zeros, weight = np.zeros((*used.shape, 3)), used[..., None].astype(np.float64)
    ones = np.concatenate([theirs, weight], -1)
    rows = np.concatenate(
        [np.concatenate([ones, zeros, ours[..., :1]], -1), np.concatenate([zeros, ones, ours[..., 1:]], -1)], -2
    )
    values, vectors = np.linalg.eigh(np.swapaxes(rows, -1, -2) @ rows)
    solution = vectors[..., 0]
    last = solution[..., 6]
    is_sound = (np.abs(last) > 1e-8) & (values[..., 1] > 1e-9 * values[..., -1]) & (our_scale > 0) & (their_scale > 0)
    linear = -solution[..., :6].reshape(*last.shape, 2, 3) / np.where(is_sound, last, 1)[..., None, None]
    matrix = linear[..., :2] * (their_scale / np.where(our_scale > 0, our_scale, 1))[..., None, None]
    shift = linear[..., 2] / np.where(our_scale > 0, our_scale, 1)[..., None] + our_middle
    shift = shift - (matrix @ their_middle[..., None])[..., 0]
    determinant = matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0]
    is_sound &= np.abs(determinant) > 1e-9
    moves = np.concatenate([matrix, shift[..., None]], -1)
    return np.where(is_sound[..., None, None], moves, NOWHERE)


def _normalised(points: Floats, used: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Used points moved to the middle 0 and scaled to the mean square 2, the others 0; the middle and the scale."""
    count = np.maximum(used.sum(-1), 1)[..., None]
    points = np.where(used[..., None], points, 0)
    middle = points.sum(-2) / count
    centred = np.where(used[..., None], points - middle[..., None, :], 0)
    spread = np.sqrt((centred**2).sum((-1, -2)) / count[..., 0])
    scale = np.where(spread > 0, np.sqrt(2) / np.where(spread > 0, spread, 1), 0)
    return centred * scale[..., None, None], middle, scale


def ten_labels(parsing: LabelMap, joints: Joints) -> LabelMap:
    """(..., H, W) in SPT's ten labels of maps in our eight: arms and legs go to the side whose limb is nearest."""
    out = np.asarray(TEN_OF_EIGHT, np.uint8)[parsing]
    x, y = np.arange(parsing.shape[-1]), np.arange(parsing.shape[-2])[:, None]
    for label, left, ours, theirs in SPLITS:
        out[(parsing == label) & (nearness(joints, ours, x, y) < nearness(joints, theirs, x, y))] = left
    return out


def nearness(joints: Any, segments: tuple[tuple[int, int], ...], x: Any, y: Any) -> Any:
    """(..., H, W) squared distance of the pixels (x, y) to the nearest of the segments between joints (..., 18, 3).

    Of a segment with one joint missing that end is left; 1e12 where all are. It takes numpy arrays and tensors
    alike.
    """
    ends = [joints[..., [segment[side] for segment in segments], :] for side in (0, 1)]
    there = [((place[..., 2] > 0) & (place[..., 0] >= 0) & (place[..., 1] >= 0)) * 1.0 for place in ends]
    # A missing end moves to where the other one is.
    (x0, y0), (x1, y1) = (
        tuple((place[..., axis] * is_there + other[..., axis] * (1 - is_there))[..., None, None] for axis in (0, 1))
        for place, is_there, other in ((ends[0], there[0], ends[1]), (ends[1], there[1], ends[0]))
    )
    dx, dy = x1 - x0, y1 - y0
    share = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy).clip(1e-9)).clip(0, 1)
    away = (x - x0 - share * dx) ** 2 + (y - y0 - share * dy) ** 2
    is_lost = ((1 - there[0]) * (1 - there[1]))[..., None, None]
    nearest = (away * (1 - is_lost) + 1e12 * is_lost).min(-3)
    return getattr(nearest, "values", nearest)  # a tensor's comes with its place
