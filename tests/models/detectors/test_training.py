from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.detectors import training
from models.detectors.augment import Strength
from models.detectors.examples import Examples
from models.detectors.training import Settings, Stream
from pipeline.people import labels as vocabulary

SETTINGS = Settings(
    steps=6,
    batch=2,
    learning_rate=0.01,
    encoder_rate=0.5,
    warmup_steps=2,
    frozen_blocks=1,
    average=0.9,
    mix={"natural": 0.5, "toon": 0.5, "photograph": 1.0},
    seed=5,
    workers=0,
    save_every=3,
)


class Tiny(nn.Module):
    """Parameters named as timm names those of its encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.conv_stem = nn.Conv2d(3, 4, 3, stride=4)
        self.encoder.bn1 = nn.BatchNorm2d(4)
        self.encoder.blocks = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
        self.top = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.encoder.blocks(self.encoder.bn1(self.encoder.conv_stem(x))))


def is_encoder(name: str) -> bool:
    return name.startswith("encoder.")


def loss_of(network: nn.Module, batch: list[Tensor]) -> Tensor:
    return (network(batch[0].float() / 255) - batch[1].float().mean()).square().mean()


def finish(image: np.ndarray, joints: np.ndarray, labels: np.ndarray) -> tuple[Tensor, ...]:
    return torch.from_numpy(image.copy()).permute(2, 0, 1), torch.tensor(float(labels.mean()))


@pytest.fixture
def examples() -> Examples:
    random = np.random.default_rng(0)
    return Examples(
        random.integers(0, 256, (4, 64, 48, 3), dtype=np.uint8),
        np.concatenate([random.uniform(0, 48, (4, 18, 2)), np.ones((4, 18, 1))], axis=2).astype(np.float32),
        random.integers(0, 8, (4, 64, 48), dtype=np.uint8),
        np.ones(4, bool),
        ["a", "b", "c", "d"],
        ["natural", "natural", "toon", "toon"],
    )


def run(folder: Path, examples: Examples, settings: Settings) -> dict[str, Tensor]:
    torch.manual_seed(1)
    stream = Stream(examples, settings, dict.fromkeys(("natural", "toon"), Strength()), finish)
    return training.fit(
        Tiny(),
        loss_of,
        stream,
        settings,
        is_encoder=is_encoder,
        state_file=folder / "state.pt",
        curves=folder / "curves",
    )


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch):
    straight = run(tmp_path / "straight", examples, SETTINGS)
    calls = []

    def killed(network: nn.Module, batch: list[Tensor]) -> Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return loss_of(network, batch)

    with monkeypatch.context() as patch:
        patch.setitem(run.__globals__, "loss_of", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", examples, SETTINGS)
    assert len(calls) == 5
    resumed = run(tmp_path / "broken", examples, SETTINGS)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    curve = (tmp_path / "straight" / "curves" / "plots" / "metrics" / "loss.tsv").read_text()
    assert curve.splitlines()[0] == "step\tloss"


def test_other_settings_begin_anew(tmp_path: Path, examples: Examples):
    first = run(tmp_path, examples, SETTINGS)
    other = run(tmp_path, examples, replace(SETTINGS, seed=6))
    fresh = run(tmp_path / "fresh", examples, replace(SETTINGS, seed=6))
    assert not torch.equal(first["top.1.weight"], other["top.1.weight"])
    assert all(torch.equal(other[name], fresh[name]) for name in other)


def test_workers_do_not_change_the_weights(tmp_path: Path, examples: Examples):
    alone = run(tmp_path / "a", examples, SETTINGS)
    helped = run(tmp_path / "b", examples, replace(SETTINGS, workers=2))
    assert all(torch.equal(alone[name], helped[name]) for name in alone)


def test_frozen_blocks_and_statistics_stay(tmp_path: Path, examples: Examples):
    torch.manual_seed(1)
    before = Tiny().state_dict()
    after = run(tmp_path, examples, SETTINGS)
    still = {"conv_stem", "bn1", "blocks.0"}
    for name, value in before.items():
        frozen = any(f"encoder.{part}." in name for part in still)
        assert torch.equal(value, after[name]) == frozen, name


def test_the_rate_warms_up_and_falls_to_zero():
    rates = [training.rate_at(step, SETTINGS) for step in range(SETTINGS.steps + 1)]
    assert rates[0] == pytest.approx(SETTINGS.learning_rate / 2)
    assert max(rates) == rates[1] == pytest.approx(SETTINGS.learning_rate)
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] == pytest.approx(0)


def test_absent_kinds_leave_their_share_to_the_others(examples: Examples):
    stream = Stream(examples, SETTINGS, {}, finish)
    assert stream.kinds == ["natural", "toon"]
    assert stream.shares.tolist() == [0.5, 0.5]


def test_pictures_with_a_skirt_are_drawn_more_often(examples: Examples):
    maps = np.zeros_like(examples.labels)
    maps[1, 0, 0] = vocabulary.SKIRT
    stream = Stream(replace(examples, labels=maps), replace(SETTINGS, skirts=3.0), {}, finish)
    assert stream.odds["natural"].tolist() == [0.25, 0.75]
    assert stream.odds["toon"].tolist() == [0.5, 0.5]


def test_bfloat16_trains_and_comes_close_to_float32(tmp_path: Path, examples: Examples):
    exact = run(tmp_path / "a", examples, SETTINGS)
    rough = run(tmp_path / "b", examples, replace(SETTINGS, precision="bfloat16"))
    assert not all(torch.equal(exact[name], rough[name]) for name in exact)
    assert all(torch.allclose(exact[name].float(), rough[name].float(), atol=0.02) for name in exact)
