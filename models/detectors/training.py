"""The one loop that trains either network: seeded, resumable, one thread, and the same weights from the same input."""

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dvclive import Live
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, SequentialSampler, Subset
from tqdm import tqdm

from models.detectors import lite0
from models.detectors.augment import Strength, change
from models.detectors.batches import Bfloat16
from models.detectors.examples import Examples
from pipeline.people import labels as vocabulary

Sample = tuple[Tensor, ...]

# One point of the curve is the mean loss of so many steps.
CURVE_STEPS = 20


@dataclass(frozen=True)
class Settings:
    """How one network is trained."""

    steps: int
    batch: int
    learning_rate: float
    """Of the new layers, after the warm-up; falls to zero along a cosine."""
    encoder_rate: float
    """Of the pretrained encoder, as a share of `learning_rate`."""
    warmup_steps: int
    frozen_blocks: int
    """The stem and so many of the encoder's seven blocks keep their ImageNet weights: halves the cost of a step."""
    average: float
    """Decay of the running mean of the weights, which is what is kept."""
    mix: dict[str, float]
    """Kind of picture (natural, toon, photograph) -> its share of the samples; a kind that is absent is left out."""
    seed: int
    skirts: float = 1.0
    """How many times as often a picture with a skirt is drawn as another of its kind."""
    precision: str = "float32"
    """What the network is computed in: float32, or bfloat16, which takes half the time on processors that know it."""
    start: str | None = None
    """Weights to go on from, a path relative to params.yaml; None begins with the ImageNet encoder alone."""
    workers: int = 1
    save_every: int = 100


class Stream(Dataset[Sample]):
    """An endless row of changed examples: number i is the same whoever asks for it, so a run can go on anywhere."""

    def __init__(
        self, examples: Examples, settings: Settings, strength: dict[str, Strength], finish: Callable[..., Sample]
    ) -> None:
        kinds = np.array(examples.kinds)
        present = [kind for kind in settings.mix if settings.mix[kind] > 0 and (kinds == kind).any()]
        shares = np.array([settings.mix[kind] for kind in present])
        weights = np.where((examples.labels == vocabulary.SKIRT).any(axis=(1, 2)), settings.skirts, 1.0)
        self.rows = {kind: np.flatnonzero(kinds == kind) for kind in present}
        self.odds = {kind: weights[rows] / weights[rows].sum() for kind, rows in self.rows.items()}
        self.kinds, self.shares = present, shares / shares.sum()
        self.examples, self.strength, self.finish = examples, strength, finish
        self.seed, self.length = settings.seed, settings.steps * settings.batch

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        random = np.random.default_rng((self.seed, index))
        kind = str(random.choice(self.kinds, p=self.shares))
        row = int(random.choice(self.rows[kind], p=self.odds[kind]))
        examples = self.examples
        image, joints, labels = change(
            examples.images[row],
            examples.joints[row],
            examples.labels[row],
            has_labels=bool(examples.has_labels[row]),
            strength=self.strength[kind],
            random=random,
        )
        return self.finish(image, joints, labels)


def fit(
    network: nn.Module,
    loss_of: Callable[[nn.Module, list[Tensor]], Tensor],
    stream: Stream,
    settings: Settings,
    *,
    is_encoder: Callable[[str], bool],
    state_file: Path,
    curves: Path,
) -> dict[str, Tensor]:
    """The averaged weights after `settings.steps` steps.

    `state_file` is written every `save_every` steps; a run that finds one of the same settings goes on from there.
    `curves` is a DVCLive folder with the loss, written at the end.
    """
    torch.manual_seed(settings.seed)
    network = network.to(memory_format=torch.channels_last)
    seen = Bfloat16(network) if settings.precision == "bfloat16" else network
    optimiser = _optimiser(network, settings, is_encoder)
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    key, first, losses = _key(settings, stream), 0, []
    state = _load(state_file, key)
    if state is not None:
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        average, first, losses = state["average"], state["step"], state["losses"]
    rest = Subset(stream, range(first * settings.batch, len(stream)))
    loader = DataLoader(rest, settings.batch, sampler=SequentialSampler(rest), num_workers=settings.workers)
    bar = tqdm(enumerate(loader, start=first), initial=first, total=settings.steps, unit="step")
    for step, batch in bar:
        _train_mode(network, is_encoder)
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * rate_at(step, settings)
        loss = loss_of(seen, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        _follow(average, network, min(settings.average, (1 + step) / (10 + step)))
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        if (step + 1) % settings.save_every == 0:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
            _save(state_file, state | {"step": step + 1, "losses": losses, "key": key})
    _write_curve(losses, curves)
    return average


def rate_at(step: int, settings: Settings) -> float:
    """Learning rate of a step: a straight warm-up, then half a cosine down to zero."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def freeze(network: nn.Module, is_encoder: Callable[[str], bool], blocks: int) -> None:
    """Stop training the stem and the first `blocks` blocks of the encoder."""
    frozen = ("conv_stem.", "bn1.", *(f"blocks.{block}." for block in range(blocks)))
    for name, parameter in network.named_parameters():
        if blocks and is_encoder(name) and any(part in name for part in frozen):
            in_block = "blocks." in name and not any(
                name.split("blocks.")[1].startswith(f"{b}.") for b in range(blocks)
            )
            parameter.requires_grad_(in_block)


def _optimiser(network: nn.Module, settings: Settings, is_encoder: Callable[[str], bool]) -> torch.optim.Optimizer:
    freeze(network, is_encoder, settings.frozen_blocks)
    groups = [
        {
            "params": [p for n, p in network.named_parameters() if p.requires_grad and is_encoder(n) == encoder],
            "share": settings.encoder_rate if encoder else 1.0,
        }
        for encoder in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=1e-4)


def _train_mode(network: nn.Module, is_encoder: Callable[[str], bool]) -> None:
    network.train()
    # Batches are small: the encoder keeps ImageNet's statistics.
    lite0.freeze_statistics(network, is_encoder)


def _follow(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
            else:
                average[name].copy_(value)


def _key(settings: Settings, stream: Stream) -> str:
    text = repr((sorted(asdict(settings).items(), key=str), sorted(stream.strength.items()), stream.examples.names))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _save(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def _load(path: Path, key: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state if state["key"] == key else None


def _write_curve(losses: list[float], folder: Path) -> None:
    """A DVCLive folder with the mean loss of every 20 steps."""
    with Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for first in range(0, len(losses), CURVE_STEPS):
            part = losses[first : first + CURVE_STEPS]
            live.step = first + len(part)
            live.log_metric("loss", round(sum(part) / len(part), 5))
            live.sync()
