"""What every system promises: tests that the test class of each system inherits.

    class TestAdgan(MethodContract):
        name = "adgan"
        tiny: ClassVar = {"width": 0.05, "perceptual": 0.0}

A system is built from its section of params.yaml with `tiny` over it, and meets the tiny pack of `conftest.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor, nn
from torch.nn import functional as F

from models.data import Batch, Pairs, take
from models.method import Method, Moment, build, load, method_class, save
from models.settings import SettingsError, read_settings
from models.training import TrainingSettings, train
from pipeline.imports import ROOT
from pipeline.packed import Pack
from pipeline.params import TRAININGS

CPU = torch.device("cpu")
TRAINING = {
    "steps": 6, "batch": 2, "log_every": 1, "sample_every": 2, "checkpoint_every": 1, "held_out": 2,
    "device": "cpu", "threads": 1,
}  # fmt: skip


class Notebook:
    """A logger that keeps everything; `stop_at` ends the training as a kill would."""

    def __init__(self, stop_at: int = -1) -> None:
        self.values: dict[tuple[int, str], float] = {}
        self.sheets: dict[int, np.ndarray] = {}
        self.stop_at = stop_at

    def log(self, step: int, values: dict[str, float]) -> None:
        if step == self.stop_at:
            raise KeyboardInterrupt
        self.values |= {(step, name): value for name, value in values.items()}

    def samples(self, step: int, sheet: np.ndarray) -> None:
        self.sheets[step] = sheet


class Updates:
    """Optimiser steps as the training makes them; `order` and `reached` tell what they were and whom they reached.

    `unsound` are the names of those whose gradient was no number somewhere.
    """

    def __init__(self, method: Method, phase: str) -> None:
        self.optimisers = method.optimisers(phase)
        self.order: list[str] = []
        self.reached: set[int] = set()
        self.unsound: list[str] = []

    def __call__(self, name: str, loss: Tensor) -> None:
        own = [parameter for group in self.optimisers[name].param_groups for parameter in group["params"]]
        self.optimisers[name].zero_grad()
        loss.backward(inputs=own)
        self.order.append(name)
        self.reached |= {id(parameter) for parameter in own if parameter.grad is not None}
        if not all(parameter.grad.isfinite().all() for parameter in own if parameter.grad is not None):
            self.unsound.append(name)
        self.optimisers[name].step()


def section(name: str) -> dict[str, Any]:
    """The system's own values in params.yaml."""
    values = YAML(typ="safe").load((ROOT / "params.yaml").read_text())[name]
    return {key: value for key, value in values.items() if key not in TRAININGS}


def resized(batch: Batch, height: int, width: int) -> Batch:
    """The batch at another size, whatever its proportions; joints move along."""
    ratio = torch.tensor([width / batch.size[1], height / batch.size[0], 1.0])
    is_there = batch.source_joints[..., 2:] > 0, batch.target_joints[..., 2:] > 0
    changes: dict[str, Any] = {}
    for field in fields(Batch):
        value = getattr(batch, field.name)
        if field.name.endswith("parsing"):
            changes[field.name] = F.interpolate(value[:, None], (height, width), mode="nearest-exact")[:, 0]
        elif field.name.endswith("joints"):
            changes[field.name] = torch.where(is_there[field.name.startswith("target")], value * ratio, value)
        elif isinstance(value, Tensor):
            changes[field.name] = F.interpolate(value, (height, width), mode="nearest-exact")
    return replace(batch, **changes)


class MethodContract:
    """The promises. A subclass sets `name`, and makes the system small with `tiny`."""

    name: ClassVar[str]
    tiny: ClassVar[Mapping[str, Any]] = {"width": 0.05}
    # What of the target, beside its joints, `generate` may read: a mode that is told the target's label map, say.
    may_read: ClassVar[frozenset[str]] = frozenset()
    # How long and how fast two pairs are learnt by heart, and how near to them `distance` must come.
    by_heart: ClassVar[Mapping[str, Any]] = {"steps": 40, "rate": 3.0}
    falls_to: ClassVar[float] = 0.7

    def build(self, *, seed: int = 0, start: Path | None = None, **changes: Any) -> Method:
        return build(self.name, section(self.name) | dict(self.tiny) | changes, seed=seed, start=start)

    def pairs(self, pairs: Pairs) -> Pairs:
        """The pairs with what this system reads of a pack."""
        return Pairs(pairs.pictures, pairs.rows, method_class(self.name).reads)

    @pytest.fixture
    def two(self, pack: Pack) -> Pairs:
        """A pair of each person of the pack."""
        return Pairs(pack, np.array([(0, 1), (3, 5)], np.int32))

    def distance(self, method: Method, batch: Batch) -> float:
        """How far the drawn pictures are from the targets; a system that learns something else measures that."""
        return float((method.generate(batch) - batch.target).abs().mean())

    @pytest.fixture
    def batch(self, two: Pairs) -> Batch:
        return take(self.pairs(two), 2, CPU)

    def train(self, pairs: Pairs, held_out: Pairs, folder: Path, notebook: Notebook, **changes: Any) -> Method:
        method = self.build()
        settings = read_settings(TrainingSettings, TRAINING | changes, where="contract")
        pairs, held_out = self.pairs(pairs), self.pairs(held_out)
        return train(method, pairs, settings, validation=held_out, logger=notebook, work_dir=folder)

    def moments(self, method: Method) -> Iterator[Moment]:
        """The first and the last step of every phase."""
        return (Moment(phase.name, step, 10) for phase in method.phases for step in (0, 9))

    def step(self, method: Method, batch: Batch, at: Moment) -> tuple[dict[str, Tensor], Updates]:
        torch.manual_seed(0)
        updates = Updates(method.train(), at.phase)
        return method.train_step(batch.scaled(method.settings.scale), updates, at), updates

    # Settings and weights.

    def test_the_section_of_params_yaml_fits_the_settings(self):
        kind = method_class(self.name)
        read_settings(kind.Settings, section(self.name), where=self.name)
        assert kind.name == self.name
        with pytest.raises(SettingsError, match=rf"unknown key '{self.name}\.widht'; did you mean 'width'"):
            self.build(widht=1)

    def test_fresh_weights_are_a_function_of_the_seed(self):
        first, again, other = (self.build(seed=seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[key], again[key]) for key in first)
        assert any(not torch.equal(first[key], other[key]) for key in first)

    def test_a_saved_system_draws_the_same_pictures(self, batch, tmp_path):
        method = self.build(seed=3)
        save(tmp_path / "w.safetensors", method)
        loaded = load(tmp_path / "w.safetensors")
        assert loaded.settings == method.settings
        assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in method.state_dict().items())
        torch.testing.assert_close(loaded.generate(batch), method.generate(batch), rtol=0, atol=0)

    def test_weights_of_another_width_are_refused(self, tmp_path):
        save(tmp_path / "w.safetensors", self.build())
        with pytest.raises(
            SettingsError, match=r"w\.safetensors: .*does not fit these settings|w\.safetensors: .*width"
        ):
            self.build(width=0.3, start=tmp_path / "w.safetensors")

    # Drawing.

    def test_drawing_has_the_batchs_size_and_range(self, batch):
        image = self.build().generate(batch)
        assert image.shape == batch.target.shape
        assert image.dtype == torch.float32
        assert torch.isfinite(image).all()

    def test_drawing_does_not_look_at_the_target(self, batch):
        """Everything of the target but its joints is made unreadable."""
        method = self.build()
        blind: dict[str, Any] = {
            key: torch.full_like(value, torch.nan) if value.is_floating_point() else torch.zeros_like(value)
            for key, value in vars(batch).items()
            if key.startswith("target") and key != "target_joints" and key not in self.may_read and value is not None
        }
        assert {"target", "target_mask"} <= blind.keys()
        torch.testing.assert_close(method.generate(replace(batch, **blind)), method.generate(batch), rtol=0, atol=0)

    def test_drawing_looks_at_the_source_and_at_the_pose(self, batch):
        method = self.build()
        image = method.generate(batch)
        for key in ("source", "target_joints"):
            assert not torch.equal(method.generate(replace(batch, **{key: getattr(batch, key).flip(0)})), image), key

    def test_drawing_leaves_mode_and_dice_alone(self, batch):
        method = self.build().train()
        dice = torch.get_rng_state()
        first, again = method.generate(batch), method.generate(batch)
        assert method.training
        assert torch.equal(first, again)
        assert torch.equal(torch.get_rng_state(), dice)

    def test_a_picture_does_not_depend_on_the_others_of_its_batch(self, batch):
        method = self.build()
        alone = replace(batch, **{key: value[1:] for key, value in vars(batch).items() if isinstance(value, Tensor)})
        torch.testing.assert_close(method.generate(alone), method.generate(batch)[1:], rtol=1e-4, atol=1e-5)

    # Training.

    def test_every_learning_parameter_gets_a_gradient_in_some_phase(self, batch):
        method, reached = self.build(), set()
        for at in self.moments(method):
            terms, updates = self.step(method, batch, at)
            reached |= updates.reached
            assert updates.order, at
            assert all(torch.isfinite(term) and not term.requires_grad for term in terms.values()), at
        missed = [key for key, value in method.named_parameters() if value.requires_grad and id(value) not in reached]
        assert not missed

    def test_no_parameter_has_two_optimisers(self):
        method = self.build()
        for phase in method.phases:
            owned = [
                id(parameter)
                for optimiser in method.optimisers(phase.name).values()
                for group in optimiser.param_groups
                for parameter in group["params"]
            ]
            assert owned
            assert len(owned) == len(set(owned)), phase

    @property
    def _by_heart(self) -> dict[str, Any]:
        return {"log_every": 10, "sample_every": 10, "checkpoint_every": 1000, "decay_from": 0.9, "average": 0.0,
                "mirror": False, "diverged_at": 1e6} | dict(self.by_heart)  # fmt: skip

    def test_two_pairs_are_learnt_by_heart(self, batch, two, tmp_path):
        before = self.distance(self.build(), batch)
        after = self.distance(self.train(two, two, tmp_path, Notebook(), **self._by_heart), batch)
        assert after < self.falls_to * before, f"{before:.4f} -> {after:.4f}"

    @pytest.fixture(scope="class")
    def straight(self, train_pairs, val_pairs, tmp_path_factory) -> tuple[dict[str, Tensor], Notebook]:
        notebook = Notebook()
        trained = self.train(train_pairs, val_pairs, tmp_path_factory.mktemp("straight"), notebook)
        return trained.state_dict(), notebook

    def test_the_same_seed_gives_the_same_losses_and_weights(self, straight, train_pairs, val_pairs, tmp_path):
        notebook = Notebook()
        weights = self.train(train_pairs, val_pairs, tmp_path, notebook).state_dict()
        assert notebook.values == straight[1].values
        assert all(torch.equal(weights[key], straight[0][key]) for key in weights)

    def test_half_precision_learns_nearly_the_same(self, straight, train_pairs, val_pairs, tmp_path):
        notebook = Notebook()
        self.train(train_pairs, val_pairs, tmp_path, notebook, precision="bf16-mixed")
        assert notebook.values.keys() == straight[1].values.keys()
        for key, value in straight[1].values.items():
            assert notebook.values[key] == pytest.approx(value, rel=0.1, abs=0.02), key

    @pytest.mark.parametrize("killed_at", [2, 5])
    def test_a_resumed_training_equals_a_straight_one(self, straight, train_pairs, val_pairs, tmp_path, killed_at):
        with pytest.raises(KeyboardInterrupt):
            self.train(train_pairs, val_pairs, tmp_path, Notebook(stop_at=killed_at))
        assert list(tmp_path.glob("step-*.pt"))
        notebook = Notebook()
        weights = self.train(train_pairs, val_pairs, tmp_path, notebook).state_dict()
        assert notebook.values == straight[1].values
        assert all(torch.equal(weights[key], straight[0][key]) for key in weights)

    def test_every_choice_of_what_learns_leaves_the_rest_alone(self, batch):
        for choice in method_class(self.name).trainable:
            method = self.build()
            method.let_learn(choice)
            before = {key: value.clone() for key, value in method.state_dict().items()}
            for at in self.moments(method):
                _, updates = self.step(method, batch, at)
                assert updates.order, f"{choice}: nothing learns in {at.phase}"
            learning = {key for key, value in method.named_parameters() if value.requires_grad}
            moved = {key for key, value in method.named_parameters() if not torch.equal(value, before[key])}
            assert moved, choice
            assert moved <= learning, choice

    def test_transfer_goes_on_from_trained_weights(self, batch, tmp_path):
        trained = self.build(seed=5)
        save(tmp_path / "w.safetensors", trained)
        method = self.build(seed=6, start=tmp_path / "w.safetensors")
        assert all(torch.equal(value, trained.state_dict()[key]) for key, value in method.state_dict().items())
        for at in self.moments(method):
            self.step(method, batch, at)
        assert any(not torch.equal(value, trained.state_dict()[key]) for key, value in method.state_dict().items())

    # Sizes, and people of whom something is missing.

    @pytest.mark.parametrize(("height", "width"), [(64, 44), (128, 88), (61, 45)])
    @pytest.mark.parametrize("share", [1.0, 0.5])
    def test_it_learns_and_draws_at_any_size(self, batch, height, width, share):
        """`share` of the size, as in the first steps of a training that begins small."""
        method, batch = self.build(), resized(batch, height, width)
        for at in self.moments(method):
            terms, _ = self.step(method, batch.scaled(share), at)
            assert all(torch.isfinite(term) for term in terms.values())
        image = method.generate(batch)
        assert image.shape == (2, 3, height, width)
        assert torch.isfinite(image).all()

    @pytest.mark.parametrize(
        ("kept", "of", "people"),
        [
            (12, "source and target", slice(1)),
            (1, "source and target", slice(1)),
            (0, "source", slice(None)),
            (0, "target", slice(1)),
            (0, "target", slice(None)),
        ],
    )
    def test_missing_joints_do_no_harm(self, batch, kept, of, people):
        self._is_sound(self._without_joints(batch, kept, of, people))

    def _without_joints(self, batch: Batch, kept: int, of: str, people: slice) -> Batch:
        """The batch in which some people, in their source or target pictures, have so many joints left."""

        def few(joints_BJ3: Tensor) -> Tensor:
            joints_BJ3 = joints_BJ3.clone()
            joints_BJ3[people, kept:] = torch.tensor([-1.0, -1.0, 0.0])
            return joints_BJ3

        sides = [key for key in ("source_joints", "target_joints") if key.split("_")[0] in of]
        mask = batch.target_mask.clone()
        if "target" in of and kept < 2:
            mask[people] = 0
        pseudo = (batch.pseudo[0], few(batch.pseudo[1])) if batch.pseudo and "pseudo" in of else batch.pseudo
        return replace(batch, **{key: few(getattr(batch, key)) for key in sides}, target_mask=mask, pseudo=pseudo)

    def test_missing_parts_do_no_harm(self, batch):
        """One person without any part but the background, one that is all hair."""
        parsing = torch.zeros_like(batch.source_parsing)
        parsing[1] = 1
        self._is_sound(replace(batch, source_parsing=parsing, target_parsing=parsing.clone()))

    def test_a_picture_of_nobody_does_no_harm(self, batch):
        """Neither joints nor parts in any picture, which are one grey."""
        batch = self._without_joints(batch, 0, "source, target and pseudo label", slice(None))
        nothing, grey = torch.zeros_like(batch.source_parsing), torch.zeros_like(batch.source)
        pseudo = batch.pseudo and (torch.zeros_like(batch.pseudo[0]), batch.pseudo[1])
        self._is_sound(replace(batch, source_parsing=nothing, target_parsing=nothing, pseudo=pseudo))
        self._is_sound(replace(batch, source=grey, target=grey, source_parsing=nothing, target_parsing=nothing))

    def _is_sound(self, batch: Batch) -> None:
        method = self.build()
        for at in self.moments(method):
            terms, updates = self.step(method, batch, at)
            assert not updates.unsound, at
            assert all(torch.isfinite(term) for term in terms.values()), at
        assert torch.isfinite(method.generate(batch)).all()
        assert _are_finite(method)


def _are_finite(network: nn.Module) -> bool:
    return all(torch.isfinite(value).all() for value in network.state_dict().values() if value.is_floating_point())
