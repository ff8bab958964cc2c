from dataclasses import replace

import pytest
import torch

from models.attributes import ALL_PARTS, blend, empty_codes, with_parts
from models.data import take
from models.method import build
from pipeline.people.labels import FACE, LEG, PANTS, SKIRT, UPPER_CLOTHES

SMALL = {"width": 0.05, "scale": 0.5, "texture_vgg": "none", "pooling": "part", "perceptual": 0, "contextual": 0}


@pytest.fixture(scope="module")
def method():
    return build("adgan", SMALL, seed=2)


@pytest.fixture(scope="module")
def batch(train_pairs):
    return take(train_pairs, 2, torch.device("cpu"))


@pytest.fixture(scope="module")
def codes(method, batch):
    """Of two people who differ in every part."""
    dice = torch.Generator().manual_seed(1)
    shape = method.part_codes(batch)[:1].shape
    return torch.rand(shape, generator=dice), torch.rand(shape, generator=dice)


def test_codes_are_there_for_every_part(method, batch):
    assert method.part_codes(batch).shape[:2] == (2, 8)
    assert tuple(range(8)) == ALL_PARTS


def test_a_persons_own_codes_draw_the_person(method, batch):
    assert torch.equal(method.generate(batch, method.part_codes(batch)), method.generate(batch))


def test_looking_at_codes_leaves_the_method_as_it_was(method, batch):
    method.train()
    method.part_codes(batch)
    assert method.training
    method.eval()


def test_every_part_of_a_donor_is_the_donor(codes):
    own, donor = codes
    assert torch.equal(with_parts(own, dict.fromkeys(ALL_PARTS, donor)), donor)
    assert torch.equal(with_parts(own, {}), own)


def test_a_part_comes_alone_and_the_codes_given_stay(codes):
    own, donor = codes
    before = own.clone()
    mixed = with_parts(own, {UPPER_CLOTHES: donor})
    assert torch.equal(mixed[:, UPPER_CLOTHES], donor[:, UPPER_CLOTHES])
    others = [part for part in ALL_PARTS if part != UPPER_CLOTHES]
    assert torch.equal(mixed[:, others], own[:, others])
    assert torch.equal(own, before)


@pytest.mark.parametrize(("taken", "brought"), [(PANTS, SKIRT), (SKIRT, PANTS)])
def test_pants_and_skirt_come_together(codes, taken, brought):
    own, donor = codes
    mixed = with_parts(own, {taken: donor})
    assert torch.equal(mixed[:, [taken, brought]], donor[:, [taken, brought]])
    assert torch.equal(mixed[:, LEG], own[:, LEG])


@pytest.mark.parametrize("order", [(PANTS, SKIRT), (SKIRT, PANTS)])
def test_pants_and_skirt_of_two_donors_stay_apart(codes, order):
    own, donor = codes
    other = donor + 1
    givers = {PANTS: donor, SKIRT: other}
    mixed = with_parts(own, {part: givers[part] for part in order})
    assert torch.equal(mixed[:, PANTS], donor[:, PANTS])
    assert torch.equal(mixed[:, SKIRT], other[:, SKIRT])


def test_one_donor_dresses_many(codes):
    own, donor = codes
    mixed = with_parts(own.repeat(3, 1, 1), {FACE: donor})
    assert torch.equal(mixed[:, FACE], donor[:, FACE].expand(3, -1))


def test_a_blend_goes_evenly_from_one_person_to_the_other(codes):
    one, other = codes
    mixed = blend(one, other, ALL_PARTS, 5)
    assert torch.equal(mixed[:1], one)
    assert torch.equal(mixed[-1:], other)
    torch.testing.assert_close(mixed[2:3], (one + other) / 2)
    torch.testing.assert_close(mixed[1:2], 0.75 * one + 0.25 * other)


def test_a_blend_leaves_the_other_parts(codes):
    one, other = codes
    mixed = blend(one, other, [FACE], 4)
    others = [part for part in ALL_PARTS if part != FACE]
    assert torch.equal(mixed[:, others], one[:, others].expand(4, -1, -1))
    assert torch.equal(mixed[-1, FACE], other[0, FACE])


@pytest.mark.parametrize("pooling", ["part", "picture"])
def test_the_code_of_nothing_does_not_depend_on_the_picture(batch, pooling):
    method = build("adgan", SMALL | {"pooling": pooling}, seed=2)
    empty = empty_codes(method, batch)
    assert torch.equal(empty, empty_codes(method, replace(batch, source=-batch.source)))
    torch.testing.assert_close(empty, empty[:1, :1].expand_as(empty))
    # The pack's people wear no skirt: that is what the code of nothing says.
    torch.testing.assert_close(method.part_codes(batch)[:, SKIRT], empty[:, SKIRT])
    assert not torch.allclose(method.part_codes(batch)[:, PANTS], empty[:, PANTS])
