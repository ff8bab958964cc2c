"""What half precision must not touch: each function against itself outside of autocast, on the same rounded numbers."""

import pytest
import torch

from models.dpig_networks import _twisted
from models.losses import contextual
from models.precision import in_float32
from models.regions import crops, random_twists
from models.scagan_networks import scale_norm
from models.spt import grams
from models.warps import crop_faces, make_warps

SIZE = (64, 44)


def joints(count: int = 2) -> torch.Tensor:
    dice = torch.Generator().manual_seed(0)
    places = torch.rand(count, 18, 2, generator=dice) * torch.tensor([43.0, 63.0])
    return torch.cat([places, torch.ones(count, 18, 1)], 2)


def features(channels: int = 6) -> torch.Tensor:
    return torch.randn(2, channels, *SIZE, generator=torch.Generator().manual_seed(1)) * 8


BOXES = torch.tensor([[[3.0, 2.0, 40.0, 30.0]], [[10.0, 5.0, 60.0, 41.0]]])
TWISTS = random_twists((2, 1), 0.7, torch.device("cpu"))
MASKS = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(2))
CASES = {
    "contextual": lambda x: contextual(x[..., :16, :11], x.roll(1, 0)[..., :16, :11]),
    "grams": lambda x: grams(x, MASKS),
    "scale_norm": scale_norm,
    "crops": lambda x: crops(x, BOXES, 32, twist_BR23=TWISTS),
    "twisted": lambda x: _twisted(x, TWISTS),
    "warps": lambda x: make_warps(joints(), joints().flip(0), SIZE)(x),
    "crop_faces": lambda x: crop_faces(x, joints())[0],
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", CASES)
def test_autocast_changes_nothing(case, dtype):
    rounded = features().to(dtype)
    wide = CASES[case](rounded.float())
    with torch.autocast("cpu", dtype):
        found = CASES[case](rounded)
    assert found.dtype == torch.float32
    assert torch.equal(found, wide)
    assert torch.isfinite(wide).all()


def test_where_pictures_are_the_same_the_contextual_loss_keeps_its_direction():
    """Distances of 0, as half precision finds them, would make all others infinitely far."""
    same = features()[..., :16, :11].bfloat16()
    other = same.clone()
    other[..., :4] += 3
    gradients = []
    for kind in (torch.float32, torch.float64):
        x = other.to(kind).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.float32):
            contextual(x, same.to(kind)).backward()
        gradients.append(x.grad.double().flatten())
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999


def test_other_kinds_of_numbers_stay_what_they_are():
    @in_float32
    def kind(one: torch.Tensor, two: torch.Tensor) -> tuple[torch.dtype, torch.dtype]:
        return one.dtype, (two @ two).dtype

    with torch.autocast("cpu", torch.bfloat16):
        assert kind(torch.ones(1).double(), torch.ones(2, 2).bfloat16()) == (torch.float64, torch.float32)
        assert kind(torch.ones(1).long(), torch.ones(2, 2)) == (torch.int64, torch.float32)
    assert kind(torch.ones(1, device="meta"), torch.ones(2, 2)) == (torch.float32, torch.float32)
