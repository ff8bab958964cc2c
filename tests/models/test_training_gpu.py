"""The loop on a CUDA device: precision, what is equal there, and what the loader hands over."""

import pytest
import torch

from models.data import Draws, Pairs, batches, take
from models.method import METHODS, Method, build, load, method_class
from models.settings import SettingsError, TrainingSettings
from models.training import train
from tests.models.contract import TRAINING, Notebook, section

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

SETTINGS = TrainingSettings(**TRAINING | {"device": "cuda", "steps": 8, "workers": 0})  # type: ignore[arg-type]


def learn(name: str, pairs: Pairs, folder, notebook: Notebook, **changes: object) -> Method:
    method = build(name, section(name) | {"width": 0.05} | ({"mode": "ts_gt"} if name == "spt" else {}))
    pairs = Pairs(pairs.pictures, pairs.rows, method.reads & method_class(name).reads)
    settings = TrainingSettings(**vars(SETTINGS) | changes)
    return train(method, pairs, settings, validation=pairs, logger=notebook, work_dir=folder)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("name", METHODS)
def test_every_system_learns_in_every_precision(name, precision, train_pairs, tmp_path):
    notebook, exact = Notebook(), Notebook()
    trained = learn(name, train_pairs, tmp_path / "a", notebook, precision=precision)
    learn(name, train_pairs, tmp_path / "b", exact)
    assert all(torch.isfinite(value).all() and value.device.type == "cpu" for value in trained.state_dict().values())
    first = min(step for step, _ in exact.values)
    for (step, key), value in exact.values.items():
        if step == first and key.startswith("train/"):
            assert notebook.values[step, key] == pytest.approx(value, rel=0.1, abs=0.05), key


def test_fp16_goes_on_where_it_was_interrupted_with_its_scale(train_pairs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        learn("adgan", train_pairs, tmp_path, Notebook(stop_at=5), precision="16-mixed")
    state = torch.load(tmp_path / "step-000004.pt", weights_only=True)
    assert state["scaler"]["scale"] >= 1
    notebook = Notebook()
    learn("adgan", train_pairs, tmp_path, notebook, precision="16-mixed")
    assert {step for step, _ in notebook.values} == set(range(1, 9))


def test_parts_and_recomputed_blocks_equal_the_plain_step(train_pairs, tmp_path):
    plain, other = Notebook(), Notebook()
    learn("adgan", train_pairs, tmp_path / "a", plain, batch=4, steps=1, average=0.0)
    learn("adgan", train_pairs, tmp_path / "b", other, batch=4, steps=1, average=0.0, accumulate=2, checkpointing=True)
    for key, value in plain.values.items():
        assert other.values[key] == pytest.approx(value, rel=1e-3), key


def test_recomputed_blocks_take_less_memory(train_pairs, tmp_path):
    peaks = []
    for checkpointing in (False, True):
        torch.cuda.reset_peak_memory_stats()
        method = build("adgan", section("adgan") | {"width": 0.5, "scale": 1.0})
        settings = TrainingSettings(**vars(SETTINGS) | {"batch": 6, "steps": 2, "checkpointing": checkpointing})
        folder = tmp_path / str(checkpointing)
        train(method, train_pairs, settings, validation=train_pairs, logger=Notebook(), work_dir=folder)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.8 * peaks[0], peaks


def test_batches_arrive_on_the_device_whoever_reads_them(train_pairs):
    device = torch.device("cuda")

    def read(workers: int) -> list[torch.Tensor]:
        draws = Draws(len(train_pairs), range(6), batch=2, seed=0, mirror=True)
        return [batch.source for batch in batches(train_pairs, draws, device=device, workers=workers)]

    alone, helped = read(0), read(-1)
    assert all(one.is_cuda and torch.equal(one, other) for one, other in zip(alone, helped, strict=True))


def test_more_devices_than_there_are_is_an_error(train_pairs, tmp_path):
    many = torch.cuda.device_count() + 1
    with pytest.raises(SettingsError, match=rf"devices: {many}, but this machine has {many - 1}"):
        learn("adgan", train_pairs, tmp_path, Notebook(), devices=many, batch=many)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_learn_as_one_with_the_whole_batch(train_pairs, tmp_path):
    one, two = Notebook(), Notebook()
    weights = [
        learn("adgan", train_pairs, tmp_path / str(count), notebook, batch=4, devices=count).state_dict()
        for count, notebook in ((1, one), (2, two))
    ]
    for key, value in weights[0].items():
        if key.startswith("generator") and not key.endswith("bias"):
            torch.testing.assert_close(weights[1][key], value, rtol=1e-2, atol=1e-3)


def test_what_was_trained_here_is_read_on_the_cpu(train_pairs, tmp_path):
    learn("adgan", train_pairs, tmp_path, Notebook(), keep_best=True, precision="bf16-mixed")
    batch = take(train_pairs, 2, torch.device("cpu"))
    assert torch.isfinite(load(tmp_path / "best.safetensors").generate(batch)).all()
