from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric

from models.data import Pairs, take
from models.method import Phase, build
from models.settings import SettingsError, read_settings
from models.training import DivergedError, Run, TrainingSettings, _phase_at, train
from tests.models.contract import Notebook

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


def test_a_diverging_run_stops_and_says_what_to_do(train_pairs, val_pairs, tmp_path):
    method = build("adgan", SMALL | {"learning_rate": 1.0, "l1": 1e30})
    with pytest.raises(DivergedError, match=r"adgan diverged: .* after \d+ steps; try a lower adgan\.learning_rate"):
        train(
            method,
            train_pairs,
            TrainingSettings(**(SHORT.__dict__ | {"steps": 40, "diverged_at": 1.0})),
            validation=val_pairs,
            logger=Notebook(),
            work_dir=tmp_path,
        )


def test_a_loss_that_is_no_number_stops_the_run(train_pairs, val_pairs, tmp_path):
    method = build("adgan", SMALL)
    torch.nn.init.constant_(method.generator.fc.fc.weight, float("nan"))
    with pytest.raises(DivergedError, match=r"is nan after 2 steps"):
        train(method, train_pairs, SHORT, validation=val_pairs, logger=Notebook(), work_dir=tmp_path)


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
