import contextlib
import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric

from models.data import Batch, Pairs, Unpaired, take
from models.method import METHODS, Method, Moment, Phase, build, load
from models.settings import SettingsError, TrainingSettings, read_settings
from models.training import DivergedError, Run, _phase_at, train
from tests.models.contract import Notebook, section

SMALL = {
    "width": 0.05,
    "scale": 0.5,
    "learning_rate": 1e-3,
    "texture_vgg": "none",
    "pooling": "part",
    "first_weights": "kaiming",
    "gan": 0.5,
    "l1": 5.0,
    "perceptual": 0,
    "contextual": 0,
}
SHORT = TrainingSettings(
    steps=6, batch=2, log_every=2, sample_every=4, checkpoint_every=2, held_out=3, device="cpu", threads=1
)


def _train(pairs: Pairs, held_out: Pairs, folder: Path, notebook: Notebook, **changes) -> dict[str, torch.Tensor]:
    settings = TrainingSettings(**(SHORT.__dict__ | changes))
    method = build("adgan", SMALL, seed=settings.seed)
    return train(method, pairs, settings, validation=held_out, logger=notebook, work_dir=folder).state_dict()


@pytest.fixture(scope="module")
def straight(train_pairs, val_pairs, tmp_path_factory):
    notebook = Notebook()
    return _train(train_pairs, val_pairs, tmp_path_factory.mktemp("straight"), notebook), notebook


def test_the_same_seed_gives_the_same_weights_to_the_last_bit(straight, train_pairs, val_pairs, tmp_path):
    notebook = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path, notebook)
    assert all(torch.equal(weights[key], straight[0][key]) for key in weights)
    assert notebook.values == straight[1].values


def test_another_seed_gives_other_weights(straight, train_pairs, val_pairs, tmp_path):
    weights = _train(train_pairs, val_pairs, tmp_path, Notebook(), seed=1)
    assert any(not torch.equal(weights[key], straight[0][key]) for key in weights)


@pytest.mark.parametrize("killed_at", [4, 6])
def test_a_killed_run_goes_on_to_the_same_weights_and_curves(straight, train_pairs, val_pairs, tmp_path, killed_at):
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path, Notebook(stop_at=killed_at))
    assert list(tmp_path.glob("step-*.pt"))
    notebook = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path, notebook)
    assert all(torch.equal(weights[key], straight[0][key]) for key in weights)
    assert notebook.values == straight[1].values


def test_a_checkpoint_of_other_settings_is_not_taken_up(straight, train_pairs, val_pairs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path, Notebook(stop_at=4), seed=7)
    weights = _train(train_pairs, val_pairs, tmp_path, Notebook())
    assert all(torch.equal(weights[key], straight[0][key]) for key in weights)


def test_curves_and_samples_come_when_they_should(straight):
    notebook = straight[1]
    assert {step for step, name in notebook.values if name == "train/l1"} == {2, 4, 6}
    assert {step for step, name in notebook.values if name == "validation/l1_person"} == {4, 6}
    assert set(notebook.sheets) == {4, 6}
    assert notebook.sheets[6].shape == (3 * 64, 4 * 44, 3)
    assert notebook.sheets[6].dtype == np.uint8


def test_the_sheet_begins_with_the_source(straight, pack, val_pairs):
    source, target = val_pairs.rows[0]
    np.testing.assert_array_equal(straight[1].sheets[6][:64, :44], pack.image(source))
    np.testing.assert_array_equal(straight[1].sheets[6][:64, 88:132], pack.image(target))


DIVERGED = (
    r"adgan diverged: train/\w+ is \S+ after \d+ steps, beyond \S+ \(diverged_at 1 times the first losses\); "
    r"try a lower adgan\.learning_rate"
)


def test_a_diverging_run_stops_and_says_what_to_do(train_pairs, val_pairs, tmp_path):
    method = build("adgan", SMALL | {"learning_rate": 1.0, "l1": 1e30})
    with pytest.raises(DivergedError, match=DIVERGED):
        train(
            method,
            train_pairs,
            TrainingSettings(**(SHORT.__dict__ | {"steps": 40, "diverged_at": 1.0})),
            validation=val_pairs,
            logger=Notebook(),
            work_dir=tmp_path,
        )


@pytest.mark.parametrize(("grows", "is_beyond"), [(1.0, False), (100.0, True)])
def test_a_term_of_a_later_phase_is_measured_by_its_own_first_value(train_pairs, val_pairs, tmp_path, grows, is_beyond):
    """In a resumed training too."""
    for stop_at in (4, -1):
        method = build("adgan", SMALL)
        step = method.train_step

        def later(batch, update, at, step=step):
            late = {"late": torch.tensor(1e6 * (grows if at.step == 5 else 1))} if at.step >= 2 else {}
            return step(batch, update, at) | late

        method.train_step = later
        stopped = pytest.raises(KeyboardInterrupt) if stop_at > 0 else contextlib.nullcontext()
        with pytest.raises(DivergedError, match=r"train/late is 1e\+08") if is_beyond and stop_at < 0 else stopped:
            notebook = Notebook(stop_at=stop_at)
            settings = dataclasses.replace(SHORT, checkpoint_every=3, log_every=1, sample_every=6)
            train(method, train_pairs, settings, validation=val_pairs, logger=notebook, work_dir=tmp_path)


def test_a_loss_that_is_no_number_stops_the_run(train_pairs, val_pairs, tmp_path):
    method = build("adgan", SMALL)
    torch.nn.init.constant_(method.generator.fc.fc.weight, float("nan"))
    with pytest.raises(DivergedError, match=r"is nan after 2 steps"):
        train(method, train_pairs, SHORT, validation=val_pairs, logger=Notebook(), work_dir=tmp_path)


def test_weights_that_the_last_step_has_spoilt_are_not_kept(train_pairs, val_pairs, tmp_path, monkeypatch):
    advance, notebook = Run.advance, Notebook()

    def spoil(run: Run, batch: Batch) -> dict[str, torch.Tensor]:
        terms = advance(run, batch)
        if run.step == SHORT.steps:
            torch.nn.init.constant_(run.averaged.generator.fc.fc.weight, float("nan"))
        return terms

    monkeypatch.setattr(Run, "advance", spoil)
    with pytest.raises(DivergedError, match=r"^adgan diverged: validation/l1_person is nan after 6 steps; try a lower"):
        _train(train_pairs, val_pairs, tmp_path, notebook)
    assert set(notebook.sheets) == {4}


def _run(settings: TrainingSettings) -> Run:
    return Run(Fabric(accelerator="cpu", devices=1), build("adgan", SMALL).train(), settings)


def test_learning_rates_stay_then_fall_to_zero():
    run = _run(TrainingSettings(rate=2.0, decay_from=0.5))
    run._begin("train")
    rates = []
    for progress in (0.0, 0.49, 0.5, 0.75, 1.0):
        run._set_learning_rates(progress)
        rates.append(run.optimisers["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([2e-3, 2e-3, 2e-3, 1e-3, 0])


def test_the_average_follows_the_weights():
    run = _run(TrainingSettings(average=0.9))
    run.step = 10_000
    old, new = run.averaged.generator.fc.fc.weight, run.method.generator.fc.fc.weight
    start = old.detach().clone()
    with torch.no_grad():
        new.add_(1)
    run._average()
    torch.testing.assert_close(old, start + 0.1)


def test_without_an_average_the_weights_are_the_last_ones():
    run = _run(TrainingSettings(average=0.0))
    assert run.averaged is run.method


def test_the_first_steps_can_be_done_at_half_size(train_pairs, val_pairs, tmp_path):
    method, sizes = build("adgan", SMALL | {"scale": 1.0}), []
    step = method.train_step

    def watched(batch, update, at):
        sizes.append((batch.size, batch.scale))
        return step(batch, update, at)

    method.train_step = watched
    settings = TrainingSettings(**(SHORT.__dict__ | {"small_until": 0.5}))
    train(method, train_pairs, settings, validation=val_pairs, logger=Notebook(), work_dir=tmp_path)
    assert sizes == [((32, 24), 0.5)] * 3 + [((64, 44), 1.0)] * 3


def test_only_what_learns_moves(train_pairs, val_pairs, tmp_path):
    weights = _train(train_pairs, val_pairs, tmp_path, Notebook(), learn="decoder")
    fresh = build("adgan", SMALL).state_dict()
    moved = {key.split(".")[1] for key in weights if not torch.equal(weights[key], fresh[key]) and "generator" in key}
    assert moved == {"fc", "mlp", "dec"}


def test_phases_share_the_steps_in_order():
    phases = (Phase("coarse", 2), Phase("fine", 1))
    found = [_phase_at(phases, step, 10) for step in range(10)]
    assert [phase.name for phase, _ in found] == ["coarse"] * 7 + ["fine"] * 3
    assert found[0][1] == range(0, 7)
    assert found[9][1] == range(7, 10)


def test_intervals_must_fit():
    with pytest.raises(SettingsError, match=r"pretrain\.sample_every: 30 must be a multiple of log_every \(25\)"):
        read_settings(TrainingSettings, {"sample_every": 30}, where="pretrain")


def test_it_learns(train_pairs, tmp_path):
    notebook = Notebook()
    method = build("adgan", SMALL | {"scale": 1.0, "gan": 0.1, "l1": 10})
    settings = TrainingSettings(steps=40, batch=3, log_every=10, sample_every=10, checkpoint_every=40, device="cpu")
    train(method, train_pairs, settings, validation=train_pairs, logger=notebook, work_dir=tmp_path)
    curve = [value for (_, name), value in sorted(notebook.values.items()) if name == "validation/l1_person"]
    assert curve[-1] < 0.7 * curve[0]


def _scores(notebook: Notebook) -> dict[int, float]:
    return {step: value for (step, name), value in notebook.values.items() if name == "validation/l1_person"}


PATIENT = {"steps": 12, "sample_every": 2, "patience": 2, "average": 0.5}


def test_patience_keeps_the_best_weights_and_stops(train_pairs, val_pairs, tmp_path):
    """Learning far too fast on one person while another is looked at: it gets worse, and the training ends."""
    notebook = Notebook()
    method = build("adgan", SMALL | {"learning_rate": 0.5})
    settings = TrainingSettings(**(SHORT.__dict__ | PATIENT | {"steps": 40, "diverged_at": 1e9}))
    trained = train(method, train_pairs, settings, validation=val_pairs, logger=notebook, work_dir=tmp_path)
    scores = _scores(notebook)
    assert max(scores) < 40
    best = min(scores, key=lambda step: scores[step])
    assert max(scores) == best + 2 * 2
    held_out = take(val_pairs, SHORT.held_out, torch.device("cpu"))
    off = ((trained.generate(held_out) - held_out.target).abs() * held_out.target_mask).sum()
    assert float(off / (3 * held_out.target_mask.sum())) == pytest.approx(scores[best], rel=1e-5)


@pytest.mark.parametrize("killed_at", [4, 6])
def test_a_killed_patient_run_goes_on_to_the_same_weights(train_pairs, val_pairs, tmp_path, killed_at):
    straight = Notebook()
    expected = _train(train_pairs, val_pairs, tmp_path / "a", straight, **PATIENT)
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path / "b", Notebook(stop_at=killed_at), **PATIENT)
    resumed = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path / "b", resumed, **PATIENT)
    assert all(torch.equal(weights[key], expected[key]) for key in weights)
    assert resumed.values == straight.values


def test_a_training_of_the_decoder_leaves_the_rest_alone(train_pairs, val_pairs, tmp_path):
    before = build("adgan", SMALL).state_dict()
    after = _train(train_pairs, val_pairs, tmp_path, Notebook(), learn="decoder")
    changed = {key.rsplit(".", 1)[0] for key in before if not torch.equal(before[key], after[key])}
    assert all(key.startswith(("generator.fc", "generator.mlp", "generator.dec")) for key in changed)
    assert {"generator.fc.fc", "generator.dec.model.5.conv"} <= changed


# Checkpoints and budgets.


def _steps(folder) -> list[str]:
    return sorted(path.name for path in folder.glob("step-*"))


def test_the_last_checkpoints_are_kept(train_pairs, val_pairs, tmp_path):
    _train(train_pairs, val_pairs, tmp_path, Notebook(), steps=10)
    assert _steps(tmp_path) == ["step-000006.pt", "step-000008.pt"]
    _train(train_pairs, val_pairs, tmp_path, Notebook(), steps=8, keep_last=1)
    assert _steps(tmp_path) == ["step-000006.pt"]


def _cut(data: bytes) -> bytes:
    return data[:5000]


def _with_a_changed_number(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut, _with_a_changed_number])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(
    straight, train_pairs, val_pairs, tmp_path, caplog, damage
):
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path, Notebook(stop_at=6))
    assert _steps(tmp_path) == ["step-000002.pt", "step-000004.pt"]
    newest = tmp_path / "step-000004.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    notebook = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path, notebook)
    assert "step-000004.pt is damaged" in caplog.text
    assert all(torch.equal(weights[key], straight[0][key]) for key in weights)
    assert notebook.values == straight[1].values


def test_nothing_that_says_where_or_how_long_keeps_a_checkpoint_from_being_taken_up(
    straight, train_pairs, val_pairs, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path, Notebook(stop_at=6))
    (tmp_path / "step-000002.pt").unlink()
    notebook = Notebook(stop_at=2)  # where a straight training would come by, and the history of a resumed one begins
    with pytest.raises(KeyboardInterrupt):
        _train(train_pairs, val_pairs, tmp_path, notebook, max_minutes=60.0, keep_last=5, workers=1)
    assert not notebook.sheets


def test_the_best_weights_are_left_beside_the_last(straight, train_pairs, val_pairs, tmp_path):
    notebook = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path, notebook, keep_best=True)
    assert all(torch.equal(weights[key], straight[0][key]) for key in weights)
    held_out = take(val_pairs, SHORT.held_out, torch.device("cpu"))
    generated = load(tmp_path / "best.safetensors").generate(held_out)
    off = ((generated - held_out.target).abs() * held_out.target_mask).sum() / (3 * held_out.target_mask.sum())
    assert float(off) == pytest.approx(min(_scores(notebook).values()), rel=1e-5)


def test_a_training_that_is_out_of_time_ends_well(train_pairs, val_pairs, tmp_path, caplog):
    notebook = Notebook()
    weights = _train(train_pairs, val_pairs, tmp_path, notebook, max_minutes=1e-6)
    assert "out of time after 2 of 6 steps" in caplog.text
    assert set(notebook.sheets) == {2}
    fresh = build("adgan", SMALL).state_dict()
    assert any(not torch.equal(weights[key], fresh[key]) for key in weights)


def test_time_before_an_interruption_counts(train_pairs, tmp_path):
    settings = TrainingSettings(max_minutes=1.0)
    run, again = _run(settings), _run(settings)
    run._begin("train")
    run.began -= 59.0
    assert not run.is_out_of_time()
    run.write(tmp_path, "r")
    again.resume(tmp_path, "r", Notebook())
    assert not again.is_out_of_time()
    again.began -= 1.0
    assert again.is_out_of_time()


# Scaled losses (fp16), and blocks that are computed twice.


@pytest.mark.parametrize("accumulate", [1, 2])
def test_no_gradient_takes_memory_between_two_steps(train_pairs, accumulate):
    run = _run(TrainingSettings(batch=2, accumulate=accumulate))
    run.advance(take(train_pairs, 2, torch.device("cpu")))
    assert all(parameter.grad is None for parameter in run.method.parameters())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_scaled_loss_moves_the_weights_alike(train_pairs, accumulate):
    """The scale is a power of two, which float32 takes out again to the bit."""
    weights = []
    for is_enabled in (False, True):
        run = _run(TrainingSettings(batch=2, accumulate=accumulate))
        run.scaler = torch.amp.GradScaler("cpu", enabled=is_enabled)
        for _ in range(3):
            run.advance(take(train_pairs, 2, torch.device("cpu")))
        weights.append(run.method.state_dict())
    # The optimiser divides by the scale within its fused step.
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-6, atol=1e-7)


def test_a_step_that_overflows_is_left_out_and_the_scale_halved(train_pairs):
    run = _run(TrainingSettings(batch=2))
    run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
    before = copy.deepcopy(run.method.state_dict())
    run.method.settings = dataclasses.replace(run.method.settings, l1=1e12)
    run.advance(take(train_pairs, 2, torch.device("cpu")))
    assert run.scaler.get_scale() == 2.0**99
    after = {key: value for key, value in run.method.state_dict().items() if key.startswith("generator")}
    assert all(torch.equal(value, before[key]) for key, value in after.items())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_what_has_learnt_judges_as_it_has_learnt(precision, train_pairs):
    """Autocast remembers weights in half precision; what an optimiser has moved must not be judged by its memory."""

    class Twice(type(build("adgan", SMALL))):
        def optimisers(self, phase):
            return {"texture": torch.optim.SGD(self.critic_texture.parameters(), lr=1.0)}

        def train_step(self, batch, update, at):
            seen = torch.cat([batch.source, batch.target], 1)
            before = self.critic_texture(seen)
            update("texture", before.square().mean())
            return {"change": (self.critic_texture(seen) - before).detach().abs().mean()}

    settings = TrainingSettings(batch=2, precision=precision, device="cpu")
    method = build("adgan", SMALL).eval()  # without dropout
    method.__class__ = Twice
    run = Run(Fabric(accelerator="cpu", precision=precision), method, settings)
    assert float(run.advance(take(train_pairs, 2, torch.device("cpu")))["change"]) > 0.1


@pytest.mark.parametrize("name", METHODS)
def test_blocks_that_are_computed_twice_give_the_same_gradients_and_keep_less(name, train_pairs):
    plain, thrifty = (build(name, section(name) | {"width": 0.05}).train() for _ in range(2))
    thrifty.forget_inside_blocks()
    pairs = Pairs(train_pairs.pictures, train_pairs.rows, plain.reads)
    if "pseudo_labels" in plain.reads:
        pairs = Unpaired(train_pairs.pictures, train_pairs.rows[:3], plain.reads)
    batch = take(pairs, 2, torch.device("cpu")).scaled(plain.settings.scale)
    kept = {}
    for phase in plain.phases:
        for method in (plain, thrifty):
            kept[phase.name, method is thrifty] = _kept_bytes(method, batch, Moment(phase.name, 9, 10))
        for (key, one), other in zip(plain.named_parameters(), thrifty.parameters(), strict=True):
            assert (one.grad is None) == (other.grad is None), key
            assert one.grad is None or torch.equal(one.grad, other.grad), key
            one.grad = other.grad = None
        assert all(torch.equal(value, thrifty.state_dict()[key]) for key, value in plain.state_dict().items())
    shares = [kept[phase.name, True] / kept[phase.name, False] for phase in plain.phases]
    assert min(shares) < 0.75, shares
    assert max(shares) <= 1.0, shares


def _kept_bytes(method: Method, batch: Batch, at: Moment) -> int:
    """Of all tensors that a step keeps for its gradients, which are left where they are."""
    kept: dict[int, torch.UntypedStorage] = {}  # alive, so that no address is used twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    torch.manual_seed(0)
    optimisers = method.optimisers(at.phase)

    def update(name: str, loss: torch.Tensor) -> None:
        own = [parameter for group in optimisers[name].param_groups for parameter in group["params"]]
        loss.backward(inputs=own)

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        method.train_step(batch, update, at)
    return sum(storage.nbytes() for storage in kept.values())
