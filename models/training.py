"""The one training loop, for every system, on Lightning Fabric.

Everything random in a step is a function of (seed, step): which pairs are drawn, and torch's own dice. A checkpoint
therefore holds weights, optimisers and a step number, and a run killed at any moment goes on to the same weights.

    method = build("adgan", {"width": 0.25})
    trained = train(method, pairs, TrainingSettings(steps=1500), validation=held_out, logger=logger, work_dir=folder)
    save(path, trained)
"""

import copy
import dataclasses
import hashlib
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models.data import Batch, Draws, Pairs, batches, pose_maps, recoloured, take, to_levels
from models.method import Method, Moment, Phase
from models.settings import SettingsError, setting
from pipeline.errors import UserError

log = logging.getLogger(__name__)


class DivergedError(UserError):
    """A loss is no number any more, or has grown beyond hope; the text says where and what to try."""


class Logger(Protocol):
    """Where curves and samples go."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Scalars after `step` steps. A run that goes on first logs again what it had logged."""

    def samples(self, step: int, sheet: NDArray[np.uint8]) -> None:
        """(rows x H, 4 x W, 3) RGB after `step` steps: source, target pose, target, generated."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how large, how fast."""

    steps: int = setting(2000, low=0)  # 0: the weights stay as they are
    batch: int = setting(4, low=1)
    seed: int = setting(0, low=0)
    decay_from: float = setting(0.6, low=0, high=1)  # share of the steps after which learning rates fall linearly to 0
    small_until: float = setting(0.0, low=0, high=1)  # share of the steps first done at half the system's size
    average: float = setting(0.995, low=0, high=0.99999)  # decay of the weights' moving average; 0: none
    mirror: bool = setting(True)  # mirror half of the pairs
    recolour: bool = setting(False)  # give clothes and background other colours, the same in both pictures
    rate: float = setting(1.0, low=0, high=100)  # times the system's own learning rates
    learn: str = setting("everything")  # what learns: one of the system's choices
    device: str = setting("auto", choices=("auto", "cpu", "cuda"))
    precision: str = setting("32-true", choices=("32-true", "bf16-mixed"))
    threads: int = setting(0, low=0)  # of torch on the CPU; 0: as many as there are cores
    workers: int = setting(0, low=0)  # processes that read pictures; 0: the training process itself
    log_every: int = setting(25, low=1)
    sample_every: int = setting(250, low=1)
    checkpoint_every: int = setting(250, low=1)
    held_out: int = setting(16, low=1)  # validation pairs that are scored; the first four of them are shown
    patience: int = setting(0, low=0)  # stop when so many looks at them in a row bring no better score; 0: never
    diverged_at: float = setting(30.0, low=1)  # stop when the losses exceed this many times their first value

    def __post_init__(self) -> None:
        for name in ("sample_every", "checkpoint_every"):
            if getattr(self, name) % self.log_every:
                raise SettingsError(f"{name}: {getattr(self, name)} must be a multiple of log_every ({self.log_every})")


def train(
    method: Method, pairs: Pairs, settings: TrainingSettings, *, validation: Pairs, logger: Logger, work_dir: Path
) -> Method:
    """The trained system with averaged weights, on the CPU, in eval mode; with `patience` the best that were seen.

    Goes on from `work_dir/checkpoint.pt` where the same settings and data left one, and leaves it there.
    DivergedError when the losses do.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    fabric = Fabric(accelerator=settings.device, devices=1, precision=settings.precision)
    method.let_learn(settings.learn)
    method.to(fabric.device, memory_format=torch.channels_last).train()
    run = Run(fabric, method, settings)
    checkpoint, recipe = work_dir / "checkpoint.pt", _recipe(method, settings, pairs)
    run.resume(checkpoint, recipe, logger)
    held_out = take(validation, settings.held_out, fabric.device)
    draws = Draws(
        len(pairs), range(run.step, settings.steps), batch=settings.batch, seed=settings.seed, mirror=settings.mirror
    )
    stream = batches(pairs, draws, device=fabric.device, workers=settings.workers)

    for batch in tqdm(stream, method.name, settings.steps, initial=run.step, unit="step"):
        terms = run.advance(batch)
        is_last = run.step == settings.steps
        if run.step % settings.log_every == 0 or is_last:
            run.report(terms, logger)
        if run.step % settings.sample_every == 0 or is_last:
            run.show(held_out, logger)
        if run.is_exhausted:
            break
        if run.step % settings.checkpoint_every == 0 and not is_last:
            run.write(checkpoint, recipe)

    run.take_best()
    return run.averaged.to("cpu").eval()


@dataclass(frozen=True)
class Best:
    """The averaged weights that drew the held-out pairs best, their score and their step."""

    score: float
    step: int
    weights: dict[str, Tensor]


class Run:
    """All that a training is at one moment, and how it moves."""

    def __init__(self, fabric: Fabric, method: Method, settings: TrainingSettings) -> None:
        self.fabric, self.method, self.settings = fabric, method, settings
        self.averaged = copy.deepcopy(method) if settings.average else method
        self.step = 0
        self.phase = ""
        self.optimisers: dict[str, Any] = {}
        self.history: list[tuple[int, dict[str, float]]] = []
        self.best: Best | None = None
        self.looks_since_best = 0

    @property
    def is_exhausted(self) -> bool:
        """Have the held-out pairs not been drawn better for `patience` looks?"""
        return 0 < self.settings.patience <= self.looks_since_best

    def take_best(self) -> None:
        """Put the best averaged weights back."""
        if self.best is not None:
            log.info("%s: the weights after %d of %d steps are kept", self.method.name, self.best.step, self.step)
            self.averaged.load_state_dict(self.best.weights)

    def advance(self, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of one step."""
        phase, steps = _phase_at(self.method.phases, self.step, self.settings.steps)
        if phase.name != self.phase:
            self._begin(phase.name)
        at = Moment(phase.name, self.step - steps.start, len(steps))
        self._set_learning_rates(at.progress)
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        is_small = at.progress < self.settings.small_until
        batch = batch.scaled(self.method.settings.scale * (0.5 if is_small else 1))
        if self.settings.recolour:
            batch = recoloured(batch, torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step))
        with self.fabric.autocast():
            terms = self.method.train_step(batch, self._update, at)
        self._average()
        self.step += 1
        return terms

    def _begin(self, phase: str) -> None:
        self.phase = phase
        optimisers = self.method.optimisers(phase)
        self.optimisers = {name: self.fabric.setup_optimizers(optimiser) for name, optimiser in optimisers.items()}

    def _update(self, name: str, loss: Tensor) -> None:
        optimiser = self.optimisers[name]
        optimiser.zero_grad()
        # Only these parameters get a gradient: a generator's loss runs through the critics without touching theirs.
        own = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.fabric.backward(loss, inputs=own)
        optimiser.step()

    def _set_learning_rates(self, progress: float) -> None:
        decay_from = self.settings.decay_from
        factor = 1.0 if progress < decay_from else (1 - progress) / (1 - decay_from)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = factor * self.settings.rate * group.setdefault("initial_lr", group["lr"])

    @torch.no_grad()
    def _average(self) -> None:
        if self.averaged is self.method:
            return
        # A young average follows quickly, or the first weights would stay in it for long.
        decay = min(self.settings.average, (1 + self.step) / (10 + self.step))
        learning = [
            (old, new)
            for old, new in zip(self.averaged.parameters(), self.method.parameters(), strict=True)
            if new.requires_grad
        ]
        torch._foreach_lerp_([old for old, _ in learning], [new for _, new in learning], 1 - decay)
        for old, new in zip(self.averaged.buffers(), self.method.buffers(), strict=True):
            old.copy_(new)

    def report(self, terms: dict[str, Tensor], logger: Logger) -> None:
        """Log the terms; DivergedError when one is no number or their sum is out of all proportion to the first."""
        values = {f"train/{name}": float(term) for name, term in terms.items()}
        first = sum(map(abs, (self.history[0][1] if self.history else values).values()))
        for name, value in values.items():
            if not math.isfinite(value) or abs(value) > self.settings.diverged_at * first:
                raise DivergedError(
                    f"{self.method.name} diverged: {name} is {value:.4g} after {self.step} steps; "
                    f"try a lower {self.method.name}.learning_rate or another seed"
                )
        self.history.append((self.step, values))
        logger.log(self.step, values)

    def show(self, held_out: Batch, logger: Logger) -> None:
        """Draw the held-out pairs with the averaged weights: the first four as a sheet, all of them as a number."""
        generated = self.averaged.generate(held_out)
        difference = ((generated - held_out.target).abs() * held_out.target_mask).sum()
        score = float(difference / (3 * held_out.target_mask.sum().clamp_min(1)))
        self._judge(score)
        value = {"validation/l1_person": score}
        self.history.append((self.step, value))
        logger.log(self.step, value)
        logger.samples(self.step, sheet(held_out, generated, rows=4))

    def _judge(self, score: float) -> None:
        """Remember the averaged weights where they are the best so far; before the last phase nothing is drawn well."""
        if not self.settings.patience or self.phase != self.method.phases[-1].name:
            return
        self.looks_since_best += 1
        if self.best is None or score < self.best.score:
            self.best = Best(score, self.step, copy.deepcopy(self.averaged.state_dict()))
            self.looks_since_best = 0

    def write(self, path: Path, recipe: str) -> None:
        """Write the checkpoint at once or not at all."""
        state = {
            "recipe": recipe,
            "step": self.step,
            "phase": self.phase,
            "method": self.method.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "history": self.history,
            "best": vars(self.best) if self.best else None,
            "looks_since_best": self.looks_since_best,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path, recipe: str, logger: Logger) -> None:
        """Take up the checkpoint of the same recipe, if there is one, and log its history again."""
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            is_ours = state["recipe"] == recipe
        # Bytes that are no checkpoint can end in any error; code that they may carry is not run.
        except Exception as error:
            raise UserError(
                f"{path}: not a checkpoint that can be read ({type(error).__name__}); delete it to begin anew"
            ) from error
        if not is_ours:
            return
        self.step, self.history = state["step"], state["history"]
        self.best = Best(**state["best"]) if state["best"] else None
        self.looks_since_best = state["looks_since_best"]
        self.method.load_state_dict(state["method"])
        self.averaged.load_state_dict(state["averaged"])
        self._begin(state["phase"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for step, values in self.history:
            logger.log(step, values)


def _phase_at(phases: tuple[Phase, ...], step: int, total: int) -> tuple[Phase, range]:
    """The phase that `step` belongs to and its steps."""
    whole, done, start = sum(phase.share for phase in phases), 0.0, 0
    for phase in phases:
        done += phase.share
        stop = round(total * done / whole)
        if step < stop:
            return phase, range(start, stop)
        start = stop
    raise ValueError(f"step {step} is behind the last of {total}")


def _recipe(method: Method, settings: TrainingSettings, pairs: Pairs) -> str:
    """What a checkpoint must agree with to be taken up: settings, data, and where the weights started."""
    told = json.dumps([method.name, dataclasses.asdict(method.settings), dataclasses.asdict(settings)], sort_keys=True)
    digest = hashlib.sha256(told.encode() + pairs.rows.tobytes() + pairs.pictures.keypoints.tobytes())
    for tensor in method.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def sheet(batch: Batch, generated: Tensor, *, rows: int) -> NDArray[np.uint8]:
    """(rows x H, 4 x W, 3) RGB: source, target pose, target, generated, a pair per row."""
    dots = pose_maps(batch.target_joints, batch.size, kind="disc", sigma_px=batch.size[0] / 64).amax(1, keepdim=True)
    columns = [batch.source, (dots * 2 - 1).expand_as(batch.source), batch.target, generated]
    picture = torch.cat(columns, dim=3)[:rows]
    array: NDArray[np.uint8] = to_levels(picture).permute(0, 2, 3, 1).flatten(0, 1).cpu().numpy()
    return array
