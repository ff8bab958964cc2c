"""People drawn at random, and ways from one person to another, through the codes of their factors.

Shape suffixes: B batch, T steps of a way, N numbers of a code, M real poses, J the 18 joints, L limbs.
"""

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from models.data import Batch, is_present
from models.dpig import Dpig
from models.dpig_codes import POSE, Codes
from pipeline.people.labels import BACKGROUND
from pipeline.people.skeleton import JOINTS, LEFT_HIP, LIMBS, NECK, RIGHT_HIP

THROUGH = ("codes", "noise", "sphere")
_SLACK = 1.1  # how much longer than any real one a limb may be


def nobody(count: int, size: tuple[int, int]) -> Batch:
    """A batch of `size` (H, W) without a person: what is drawn into when nothing comes from a picture."""
    image, joints = torch.zeros(count, 3, *size), torch.tensor([-1.0, -1, 0]).repeat(count, len(JOINTS), 1)
    parsing = torch.full((count, *size), BACKGROUND, dtype=torch.uint8)
    return Batch(image, parsing, joints, image, parsing, joints, torch.zeros(count, 1, *size))


def sampled(method: Dpig, varied: Collection[str], count: int, *, seed: int, fixed: Codes | None = None) -> Codes:
    """(count, N) codes: the `varied` factors at random, the others repeated from `fixed` (1, N).

    Each factor has dice of its own, so one person's foreground is the same whatever else varies.
    """
    codes = {}
    for place, factor in enumerate(method.factors):
        if factor in varied:
            dice = torch.Generator().manual_seed(seed * len(method.factors) + place)
            codes[factor] = method.mapped(factor, method.noise(factor, count, dice))
        elif fixed is not None and factor in fixed:
            codes[factor] = fixed[factor].expand(count, -1)
    return codes


def path(method: Dpig, one: Codes, other: Codes, steps: int, *, through: str = "codes") -> Codes:
    """(T, N) from `one` (1, N) to `other`: straight between the codes, or between the noise that gives them.

    `noise`: the straight line between the noises that are nearest to the codes; `sphere`: along a great circle, so that
    the noise keeps its length. The pose goes along where both have one.
    """
    share_T1 = torch.linspace(0, 1, steps)[:, None]
    found = {}
    for factor in method.factors:
        if factor not in one or factor not in other:
            continue
        start, end = one[factor], other[factor]
        if through == "codes":
            found[factor] = torch.lerp(start, end, share_T1)
            continue
        start, end = (method.find_noise(factor, code) for code in (start, end))
        between = torch.lerp(start, end, share_T1) if through == "noise" else on_sphere(start, end, share_T1)
        found[factor] = method.mapped(factor, between)
    return found


def on_sphere(start_1N: Tensor, end_1N: Tensor, share_T1: Tensor) -> Tensor:
    """(T, N) along the great circle (Shoemake 1985), the length going evenly from one's to the other's."""
    cosine = F.cosine_similarity(start_1N, end_1N).clamp(-1, 1)
    angle = torch.acos(cosine)
    if float(torch.sin(angle)) < 1e-4:  # one direction, or opposite ones, between which no way is the shortest
        return torch.lerp(start_1N, end_1N, share_T1)
    first, last = torch.sin((1 - share_T1) * angle), torch.sin(share_T1 * angle)
    direction_TN = (first * F.normalize(start_1N) + last * F.normalize(end_1N)) / torch.sin(angle)
    return direction_TN * torch.lerp(start_1N.norm(dim=1), end_1N.norm(dim=1), share_T1[:, 0])[:, None]


def without_pose(codes: Codes) -> Codes:
    """The codes of the appearance alone: the pose is then the batch's target pose, joint by joint."""
    return {factor: code for factor, code in codes.items() if factor != POSE}


def is_body(joints_BJ3: Tensor, real_MJ3: Tensor) -> Tensor:
    """(B,) which poses could be somebody's, by their limbs: as long as real ones are in pixels and in torso lengths.

    Neck and hips are there, and as many joints as in the real pose with fewest. A torso may be a tenth longer or
    shorter than any real one, a limb a tenth longer; foreshortened it may be as short as it likes.
    """
    (limbs_BL, torso_B), (real_ML, real_M) = (_lengths(joints) for joints in (joints_BJ3, real_MJ3))
    longest_L, slimmest_L = (_SLACK * _largest(lengths) for lengths in (real_ML, real_ML / real_M[:, None]))
    is_long_B = (limbs_BL > longest_L).any(1) | (limbs_BL / torso_B[:, None] > slimmest_L).any(1)
    is_torso_B = (torso_B <= _SLACK * _largest(real_M)) & (torso_B >= -_largest(-real_M) / _SLACK)
    shown_B, shown_M = (is_present(joints).sum(1) for joints in (joints_BJ3, real_MJ3))
    return is_torso_B & ~is_long_B & (shown_B >= shown_M.min())


def _lengths(joints_BJ3: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) of the limbs and (B,) of the torso, neck to between the hips, in pixels; NaN where a joint is missing."""
    places_BJ2 = joints_BJ3[..., :2].where(is_present(joints_BJ3)[..., None], torch.nan)
    starts, ends = torch.tensor(LIMBS, device=joints_BJ3.device).unbind(1)
    hips_B2 = (places_BJ2[:, RIGHT_HIP] + places_BJ2[:, LEFT_HIP]) / 2
    return (places_BJ2[:, starts] - places_BJ2[:, ends]).norm(dim=2), (places_BJ2[:, NECK] - hips_B2).norm(dim=1)


def _largest(lengths: Tensor) -> Tensor:
    """The largest of each column that is a number."""
    return lengths.nan_to_num(-torch.inf).amax(0)
