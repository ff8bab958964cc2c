"""SPT: its promises, its networks against the published description, its losses against plain formulas, its modes."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from skimage.measure import grid_points_in_poly
from skimage.transform import estimate_transform
from torch.nn import functional as F

from models.data import Draw, Pairs, Unpaired, take
from models.method import Moment, build
from models.originals import OriginalMismatch, load_original, to_method, to_original
from models.settings import SettingsError
from models.spt import Spt, grams, style_distance
from models.spt_looks import padded
from models.spt_networks import Appearance, PatchCritic, PoseNetwork, Semantic
from pipeline.imports import ROOT
from tests.models.contract import CPU, MethodContract, Updates, section

SHAPES = ROOT.parent / "shared" / "reference" / "shapes"
# The VGG of the losses is left out where it is not looked at: it takes most of a small step.
TINY = {
    "width": 0.05, "content": 0.0, "style": 0.0, "critics_after": 0.0, "enhancer_until": 0.5,
    "pose_share": 0.1, "semantic_share": 0.6, "joint_share": 0.1,
}  # fmt: skip


class TestSpt(MethodContract):
    name = "spt"
    tiny: ClassVar = TINY
    by_heart: ClassVar = {"steps": 30, "rate": 3.0}

    def pairs(self, pairs):
        """The pair's other picture is the pseudo label."""
        return Unpaired(pairs.pictures, pairs.rows)

    def distance(self, method, batch):
        """How far the moved label maps are from the pseudo labels."""
        with torch.no_grad():
            small = padded(batch.scaled(method.settings.scale))
            return float(method.eval()._semantic_terms(small, with_critic=False)[0]["labels"])


@pytest.fixture
def batch(pack):
    return take(Unpaired(pack, np.array([(0, 1), (3, 5), (4, 3)], np.int32)), 2, CPU)


def spt(**changes):
    return build("spt", section("spt") | TINY | changes)


def stepped(method, batch, phase, step=9):
    """Terms and the order of updates of one step."""
    torch.manual_seed(0)
    updates = Updates(method.train(), phase)
    terms = method.train_step(batch.scaled(method.settings.scale), updates, Moment(phase, step, 10))
    return {name: float(term) for name, term in terms.items()}, updates.order


# Networks.


def _listed(name):
    path = SHAPES / f"{name}.txt"
    if not path.is_file():
        pytest.skip(f"{name}.txt is not there")
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {key: tuple(int(number) for number in shape[1:-1].split(",") if number.strip()) for key, shape in rows}


@pytest.mark.parametrize(
    ("name", "make", "count"),
    [
        ("spt_gen", Appearance, 61_467_078),
        ("spt_D", lambda: PatchCritic(12), 2_773_953),
        ("spt_posedet", PoseNetwork, 11_425_234),
    ],
)
def test_networks_have_the_published_entries(name, make, count):
    with torch.device("meta"):
        network = make()
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == _listed(name)


def test_the_semantic_generator_is_the_global_network_with_other_ends():
    """29 and 19 channels in, 10 out: the entries of the global network differ in these alone."""
    with torch.device("meta"):
        ours, theirs = Semantic().state_dict(), Appearance().model_global.state_dict()
    renamed = {key.replace("encoder_map", "encoder_app"): tuple(value.shape) for key, value in ours.items()}
    differ = {key for key, value in theirs.items() if renamed.pop(key) != tuple(value.shape)}
    assert not renamed
    ends = {"encoder_app.net.0.weight": (64, 29, 3, 3), "encoder_pose.net.0.weight": (64, 19, 3, 3)}
    assert differ == {*ends, "decoder.net.6.weight", "decoder.net.6.bias"}
    assert tuple(ours["encoder_map.net.0.weight"].shape) == ends["encoder_app.net.0.weight"]
    assert tuple(ours["decoder.net.6.weight"].shape) == (10, 256, 3, 3)


def test_label_maps_are_probabilities():
    logs = Semantic(width=0.05)(torch.randn(2, 29, 64, 44), torch.randn(2, 19, 64, 44))
    assert logs.shape == (2, 10, 64, 44)
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(2, 64, 44))


def test_the_critics_map_is_the_published_one():
    assert PatchCritic(12, 0.05)(torch.rand(1, 12, 256, 256)).shape == (1, 1, 30, 30)


# H_A once more, as plain formulas from the published description, in float64.

SIDE = 64


def down(state, key, x, *, norm=True):
    x = F.conv2d(F.leaky_relu(x, 0.2), state[f"{key}.net.1.weight"], stride=2, padding=1)
    return whole(state, f"{key}.net.2", x) if norm else x


def up(state, key, x):
    x = F.conv_transpose2d(F.relu(x), state[f"{key}.net.1.weight"], stride=2)[..., 1:-1, 1:-1]
    return whole(state, f"{key}.net.3", x)


def whole(state, key, x):
    mean = x.mean((1, 2, 3), keepdim=True)
    deviation = ((x - mean).square().mean((1, 2, 3), keepdim=True) + 1e-3).sqrt()
    return (x - mean) / deviation * state[f"{key}.weight"] + state[f"{key}.bias"]


def conv(state, key, x):
    return F.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], padding=1)


def encoded(state, key, first):
    levels = [first]
    for level in range(1, 6):
        levels.append(down(state, f"{key}.net.{level}", levels[-1], norm=level < 5))
    return levels


def band(points, ends, length, beyond):
    start, end = points[ends[0]], points[ends[1]]
    start = start + 0.1 * (start - end)
    end = end + beyond * (end - start)
    normal = np.array([-(start - end)[1], (start - end)[0]]) / np.linalg.norm(start - end) * 0.2 * length
    return np.array([start + normal, start - normal, end - normal, end + normal])


BANDS = ((8, 9), (11, 12), (9, 10), (12, 13), (2, 3), (5, 6), (3, 4), (6, 7))


def torso(points):
    return np.sqrt((((points[8] - points[2]) ** 2).sum() + ((points[11] - points[5]) ** 2).sum()) / 2)


def moves_and_masks(source, target, side):
    """The page's section 2 for joints that are all there, with scikit-image; theta for aligned corners."""
    pairs = [([8, 11, 5, 2],) * 2, ([15, 14, 17, 16, 0, 5, 2],) * 2]
    matrices = [estimate_transform("affine", target[a], source[b]).params for a, b in pairs]
    middle = target[[14, 15, 16, 17, 0]].mean(0).astype(int)
    half = int(0.40 * torso(target))
    head = np.zeros((side, side))
    top, left = max(0, middle[1] - half), max(0, middle[0] - half)
    head[top : max(0, middle[1] + half), left : max(0, middle[0] + half)] = 1
    masks = [np.ones((side, side)), head]
    for place, ends in enumerate(BANDS):
        is_lower = place in (2, 3, 6, 7)
        ours, theirs = (band(points, ends, torso(points), 0.3 if is_lower else 0.1) for points in (source, target))
        matrices.append(estimate_transform("affine", theirs, ours).params)
        polygon = band(target, ends, torso(target), 0.5 if is_lower else 0.1)
        masks.append(grid_points_in_poly((side, side), polygon[:, ::-1]).astype(float))
    theta = []
    for (a, b, c), (d, e, f) in (matrix[:2] for matrix in matrices):
        theta.append([[a, b, c * 2 / side + a + b - 1], [d, e, f * 2 / side + d + e - 1]])
    return torch.tensor(np.array(theta)), torch.tensor(np.array(masks))


def warped(features, theta, masks):
    parts = []
    size = features.shape[-1]
    small = F.interpolate(masks[None], (size, size), mode="bilinear", align_corners=False)[0]
    for move, mask in zip(theta, small, strict=True):
        grid = F.affine_grid(move[None], list(features.shape), align_corners=True)
        parts.append(F.grid_sample(features, grid, align_corners=True) * mask)
    return torch.stack(parts).amax(0)


def published(state, full, half, source, target):
    """One sample; alpha 1."""
    fine, coarse = (
        moves_and_masks(source, target, SIDE),
        moves_and_masks(*(np.trunc(p / 2) for p in (source, target)), SIDE // 2),
    )

    def streams(x):
        return x[:, :30], torch.cat([x[:, 39:57], x[:, 30:39]], 1)

    local = []
    for kind, x in zip(("app", "pose"), streams(full), strict=True):
        first = conv(state, f"model_local_encoder_{kind}.net.0", x)
        local.append((first, down(state, f"model_local_encoder_{kind}.net.1", first)))
    app, pose = (encoded(state, f"model_global.encoder_{kind}", local[k][1]) for k, kind in enumerate(("app", "pose")))
    skips = [
        torch.cat([warped(a, *coarse) if k < 4 else a, b], 1) for k, (a, b) in enumerate(zip(app, pose, strict=True))
    ]
    x = up(state, "model_global.decoder.net.0", skips[5])
    for level in range(1, 5):
        x = up(state, f"model_global.decoder.net.{level}", torch.cat([x, skips[5 - level]], 1))
    x = up(state, "model_local_decoder.net.0", torch.cat([x, skips[0]], 1))
    x = torch.cat([x, warped(local[0][0], *fine), local[1][0]], 1)
    return torch.tanh(conv(state, "model_local_decoder.net.2", F.relu(x)))


@pytest.fixture(scope="module")
def lively():
    """Published entries with random weights that keep the variance from layer to layer."""
    dice, state = torch.Generator().manual_seed(0), {}
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in Appearance().state_dict().items()}
    for key, shape in shapes.items():
        draw = torch.randn(shape, generator=dice)
        if len(shape) > 1:
            state[key] = draw * (2 / (shape[1:].numel() if "decoder.net" not in key else shape[0] * 16)) ** 0.5
        else:
            state[key] = 1 + 0.2 * draw if shape == (1,) and key.endswith("weight") else 0.1 * draw
    return state


def test_the_original_generator_is_what_the_page_says(lively):
    dice = np.random.default_rng(5)
    source, target = dice.uniform(8, SIDE - 8, (2, 18, 2))
    full, half = (
        torch.randn(1, 57, side, side, generator=torch.Generator().manual_seed(side)) for side in (SIDE, SIDE // 2)
    )
    network = load_original("spt_appearance", lively)
    joints = [torch.from_numpy(points)[None].float() for points in (source, target)]
    with torch.no_grad():
        image = network(full=full, half=half, source_joints=joints[0], target_joints=joints[1])
        again = network(full=full, half=half, source_joints=joints[0], target_joints=joints[1])
        state = {key: value.double() for key, value in lively.items()}
        points = [one[0].double().numpy() for one in joints]
        expected = published(state, full.double(), half.double(), *points)
    assert torch.equal(image, again)  # the dropout rests
    assert float((image - expected).abs().max()) < 1e-3
    assert float(image.std()) > 0.1


def test_the_original_goes_back_entry_for_entry(lively):
    back = to_original("spt_appearance", load_original("spt_appearance", lively))
    assert back.keys() == lively.keys()
    assert all(torch.equal(back[key], lively[key]) for key in lively)
    method = to_method("spt_appearance", lively)
    assert method.settings.compat == "original"
    assert all(torch.equal(value, lively[key]) for key, value in to_original("spt_appearance", method).items())


def test_other_entries_and_widths_are_refused(lively):
    with pytest.raises(OriginalMismatch, match=r"missing: model_local_decoder\.net\.2\.bias"):
        load_original(
            "spt_appearance", {key: value for key, value in lively.items() if key != "model_local_decoder.net.2.bias"}
        )
    with pytest.raises(OriginalMismatch, match="width"):
        to_original("spt_appearance", spt())


def test_missing_joints_of_the_original_are_no_joints(lively):
    network = load_original("spt_appearance", lively)
    full, half = torch.randn(1, 57, 64, 64), torch.randn(1, 57, 32, 32)
    joints = torch.full((1, 18, 2), -1.0)
    with torch.no_grad():
        assert torch.isfinite(network(full=full, half=half, source_joints=joints, target_joints=joints)).all()


# Losses.


def test_style_is_the_difference_of_gram_matrices():
    """Every entry by loops, in float64."""
    dice = np.random.default_rng(0)
    ours, theirs = dice.normal(size=(2, 2, 3, 4, 5))
    our_masks, their_masks = dice.uniform(size=(2, 2, 2, 4, 5))
    our_masks[0, 1] = 0  # a region that one does not show
    expected, count = 0.0, 0
    for sample in range(2):
        for region in range(2):
            shown = our_masks[sample, region].max() * their_masks[sample, region].max()
            x, y = ours[sample] * our_masks[sample, region], theirs[sample] * their_masks[sample, region]
            for a in range(3):
                for b in range(3):
                    difference = ((x[a] * x[b]).sum() - (y[a] * y[b]).sum()) / 20
                    expected, count = expected + (shown * difference) ** 2, count + 1
    tensors = [torch.from_numpy(array) for array in (ours, theirs, our_masks, their_masks)]
    shown = tensors[2].amax((2, 3)) * tensors[3].amax((2, 3))
    found = style_distance(grams(tensors[0], tensors[2]), grams(tensors[1], tensors[3]), shown)
    assert float(found) == pytest.approx(expected / count, rel=1e-12)


def test_label_maps_are_judged_by_the_weighted_cross_entropy(batch):
    method = spt().eval()
    small = padded(batch.scaled(0.5))
    terms, criticism = method._semantic_terms(small, with_critic=False)
    assert not criticism
    source = method._known_look(small.source_parsing, small.source_joints, small)
    parsing, joints = small.pseudo
    target = method._known_look(parsing, joints, small)
    found = method._move_labels(source, target, small).detach().double().numpy()
    labels = target.labels[1].numpy()
    from pipeline.people.masks import body_mask

    total = 0.0
    for sample in range(2):
        height, width = labels.shape[2:]
        people = target.joints[1][sample].numpy()
        mask = body_mask(people, width=width, height=height, radius_px=4 * small.scale / 2, kind="polygons")
        for y in range(height):
            for x in range(width):
                label = int(labels[sample, :, y, x].argmax()) + 1 if labels[sample, :, y, x].any() else 0
                total -= found[sample, label, y, x] * (1 + mask[y, x])
    assert float(terms["labels"].detach()) == pytest.approx(total / (2 * height * width), rel=1e-3)


def test_the_losses_weigh_what_the_published_code_says(batch, monkeypatch):
    """Every raw loss replaced by 1: what is left are the weights, and the number of terms of each kind."""
    import models.spt as module

    one = torch.ones((), requires_grad=True)
    monkeypatch.setattr(module, "lsgan", lambda scores, is_real: one)
    monkeypatch.setattr(module, "_weighted", lambda scores, wanted, weights: one)
    monkeypatch.setattr(module, "style_distance", lambda *args: one)
    monkeypatch.setattr(module.F, "mse_loss", lambda *args: one)
    published = {"gan": 1.0, "face": 1.0, "pose": 700.0, "content": 0.03, "style": 1.0, "l1": 0.0, "semantic_gan": 0.1}
    method = spt(**published)
    terms = method.train_step(batch.scaled(0.5), lambda name, loss: None, Moment("appearance", 9, 10))
    found = {name: round(float(term), 6) for name, term in terms.items()}
    assert found == pytest.approx(
        {"pose": 1400, "content": 0.03, "style": 2, "gan": 2, "face": 2, "critic_picture": 2, "critic_face": 2}
    )


# No pairs are needed.


class Watched:
    """A pack that notes whose pictures are read."""

    def __init__(self, pack):
        self.pack, self.read = pack, []
        self.keypoints = pack.keypoints

    def image(self, row):
        self.read.append(("image", row))
        return self.pack.image(row)

    def parsing(self, row):
        self.read.append(("parsing", row))
        return self.pack.parsing(row)

    def mask(self, row):
        raise AssertionError("the target's mask is read")

    edges = mask


def test_of_the_target_only_the_joints_are_read(pack):
    watched = Watched(pack)
    pairs = Unpaired(watched, np.array([(0, 1), (3, 5), (4, 3)], np.int32))
    assert len(pairs) == 6
    seen = set()
    for pair in range(len(pairs)):
        watched.read.clear()
        arrays = pairs[Draw(pair)]
        source, pseudo = pairs.rows[pair // 2]
        assert sorted(watched.read) == [("image", source), *sorted([("parsing", source), ("parsing", pseudo)])]
        (target,) = [row for row in range(6) if np.array_equal(pack.keypoints[row], arrays["target_joints"])]
        assert target != source
        seen.add((int(source), target))
    assert seen == {(0, 3), (0, 4), (3, 0), (3, 4), (4, 0), (4, 3)}


@pytest.mark.parametrize("phase", ["pose", "semantic", "appearance", "joint"])
def test_no_pixel_of_the_target_reaches_the_loss(batch, phase):
    """NaN in its place: the same losses to the last bit, and the same weights after the step."""
    first, second = spt(), spt()
    blind = replace(
        batch,
        target=torch.full_like(batch.target, torch.nan),
        target_mask=torch.full_like(batch.target_mask, torch.nan),
        target_parsing=torch.full_like(batch.target_parsing, 255),
    )
    assert stepped(first, batch, phase) == stepped(second, blind, phase)
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_mirrored_pictures_take_their_pseudo_labels_along(pack):
    pairs = Unpaired(pack, np.array([(0, 1), (3, 5)], np.int32))
    plain, mirrored = pairs[Draw(0)], pairs[Draw(0, is_mirrored=True)]
    for key in ("source", "source_parsing", "pseudo_parsing"):
        np.testing.assert_array_equal(mirrored[key], plain[key][:, ::-1])
    assert mirrored["pseudo_joints"][2, 0] == pytest.approx(44 - 1 - plain["pseudo_joints"][5, 0])


def test_without_pseudo_labels_it_says_what_to_do(train_pairs):
    paired = take(Pairs(train_pairs.pictures, train_pairs.rows), 2, CPU)
    with pytest.raises(SettingsError, match="Unpaired"):
        stepped(spt(), paired, "semantic")


# Modes and ablations.


@pytest.mark.parametrize(
    ("mode", "phases"),
    [
        ("baseline", ["pose", "appearance"]),
        ("ts_gt", ["pose", "appearance"]),
        ("ts_pred", ["pose", "semantic", "appearance"]),
        ("e2e", ["pose", "semantic", "appearance", "joint"]),
    ],
)
def test_every_mode_learns_and_draws(batch, mode, phases):
    method = spt(mode=mode)
    assert [phase.name for phase in method.phases] == phases
    assert sum(phase.share for phase in method.phases) == pytest.approx(1)
    for phase in phases:
        _, order = stepped(method, batch, phase)
        assert order == (["pose"] if phase == "pose" else ["generators", "critics"])
    assert torch.isfinite(method.generate(batch)).all()
    assert ("semantic.decoder.net.6.bias" in method.state_dict()) == ("semantic" in phases)


def test_only_end_to_end_training_moves_the_label_maps_with_the_picture(batch):
    for phase, moves in (("appearance", False), ("joint", True)):
        method = spt(semantic_gan=0.0)
        before = method.semantic.encoder_map.net[0].weight.clone()
        stepped(method, batch, phase)
        assert torch.equal(method.semantic.encoder_map.net[0].weight, before) != moves


def test_the_pictures_loss_alone_reaches_the_semantic_generator(batch):
    method = spt().train()
    small = padded(batch.scaled(0.5))
    circle = method._circle(small, Moment("joint", 0, 1))
    circle.there.square().mean().backward()
    assert method.semantic.encoder_map.net[0].weight.grad.abs().sum() > 0
    apart = method._circle(small, Moment("appearance", 9, 10))
    assert not apart.target.labels[0].requires_grad


def test_with_the_truth_the_targets_label_map_is_followed(batch):
    method = spt(mode="ts_gt")
    assert method.reads == frozenset()
    other = replace(batch, target_parsing=torch.zeros_like(batch.target_parsing))
    assert not torch.equal(method.generate(batch), method.generate(other))


@pytest.mark.parametrize("regions", ["semantic", "mask", "patch"])
def test_every_choice_of_regions_gives_a_style_loss(batch, regions):
    method = spt(style_regions=regions, style=1.0, content=0.03)
    terms, _ = stepped(method, batch, "appearance")
    assert terms["style"] > 0
    assert terms["content"] > 0
    look = method._known_look(batch.source_parsing, batch.source_joints, batch)
    assert method._regions(look, (16, 11)).shape == (2, {"semantic": 8, "mask": 10, "patch": 18}[regions], 16, 11)


def test_without_the_critic_of_faces(batch):
    method = spt(face=0.0)
    terms, _ = stepped(method, batch, "appearance")
    assert not {"face", "critic_face"} & terms.keys()
    assert not any(key.startswith("critic_face") for key in method.state_dict())


def test_people_without_a_head_do_not_disturb_the_critic_of_faces(batch):
    joints = batch.source_joints.clone()
    joints[:, [0, 14, 15, 16, 17]] = torch.tensor([-1.0, -1.0, 0.0])
    terms, _ = stepped(spt(), replace(batch, source_joints=joints, target_joints=joints), "appearance")
    assert terms["face"] == terms["critic_face"] == 0


def test_it_first_draws_itself_where_it_is_told_to(batch):
    method = spt(own_until=0.5)
    terms, order = stepped(method, batch, "appearance", step=4)
    assert terms.keys() == {"own"}
    assert order == ["generators"]
    assert "own" not in stepped(method, batch, "appearance", step=5)[0]


def test_the_enhancer_fades_in(batch):
    method = spt(enhancer_from=0.2, enhancer_until=0.6)
    found = [method._alpha(progress) for progress in (0, 0.2, 0.4, 0.6, 0.9)]
    assert found == pytest.approx([0, 0, 0.5, 1, 1])
    small = padded(batch.scaled(0.5))
    for step, is_reached in ((0, False), (4, True)):
        method.zero_grad()
        method._circle(small, Moment("appearance", step, 10)).back.sum().backward()
        grad = method.appearance.model_local_decoder.net[2].weight.grad
        assert (grad is not None) == is_reached


def test_half_of_the_size_is_halved_or_cut_as_published(batch):
    joints = torch.tensor([[[9.0, 31.0, 1.0], [-1.0, -1.0, 0.0]]]).repeat(2, 9, 1)
    mended, original = (spt(compat=compat)._look(joints, None, batch) for compat in ("mended", "original"))
    assert mended.joints[1][0, :2].tolist() == [[4.25, 15.25, 1], [-1, -1, 0]]
    assert original.joints[1][0, :2].tolist() == [[4, 15, 1], [-1, -1, 0]]
    # The published maps keep their width at half the size.
    widths = [look.poses[1][0, 0].sum() for look in (mended, original)]
    assert widths[1] > 2.5 * widths[0]


def test_a_settings_contradiction_is_named():
    with pytest.raises(SettingsError, match="enhancer_until"):
        spt(enhancer_from=0.5, enhancer_until=0.2)
    with pytest.raises(SettingsError, match="leave steps"):
        spt(pose_share=0.5, semantic_share=0.4, joint_share=0.2)


# Applications.


def test_repainting_follows_the_given_label_map(batch):
    method = spt().eval()
    image = method.repaint(batch)
    assert image.shape == batch.source.shape
    assert torch.equal(image, method.repaint(batch))
    edited = replace(batch, target_parsing=torch.full_like(batch.target_parsing, 5))
    assert not torch.equal(image, method.repaint(edited))
    assert Spt.edits == {"restyle", "edit"}


def test_the_baseline_knows_no_label_maps(batch):
    method = spt(mode="baseline")
    assert not method.edits
    with pytest.raises(SettingsError, match="train another mode"):
        method.repaint(batch)
