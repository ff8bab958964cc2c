"""The one training loop, for every system, on Lightning Fabric.

Everything random in a step is a function of (seed, step): which pairs are drawn, and torch's own dice. A checkpoint
therefore holds weights, optimisers and a step number, and a run killed at any moment goes on to the same weights.

A batch may be worked on in parts: of several processes each has one (`devices`, `nodes`), and each may work on its own
in `accumulate` parts, one after the other. An optimiser then steps once, by the mean of the parts' gradients. N
processes do the same as one with `accumulate` N, and both the same as one with the batch as a whole, to rounding, as
far as a loss is a mean over the pairs. It is not where a step throws dice (each part its own: dropout, noise), where
statistics are taken over a batch (batch norm, contextual loss, running means of codes), where only some pairs count
(SPT's faces). Accumulating, a generator that is judged by what a critic has just learnt (PG2's second, DPIG's mappings)
meets in all parts but the last the critic of before the step.

    method = build("adgan", {"width": 0.25})
    trained = train(method, pairs, TrainingSettings(steps=1500), validation=held_out, logger=logger, work_dir=folder)
    save(path, trained)
"""

import copy
import functools
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models import checkpoints, devices
from models.data import Batch, Draws, Pairs, Share, batches, pose_maps, recoloured, take, to_levels
from models.method import Method, Moment, Phase, save
from models.settings import TrainingSettings
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


class _Silent:
    """The logger of all processes but the first."""

    def log(self, step: int, values: dict[str, float]) -> None: ...

    def samples(self, step: int, sheet: NDArray[np.uint8]) -> None: ...


def train(
    method: Method, pairs: Pairs, settings: TrainingSettings, *, validation: Pairs, logger: Logger, work_dir: Path
) -> Method:
    """The trained system with averaged weights, on the CPU, in eval mode; with `patience` the best that were seen.

    Goes on from the checkpoints in `work_dir` where the same settings and data left some, and leaves its own there;
    with `keep_best` also `best.safetensors`. DivergedError when the losses do.
    """
    work = functools.partial(
        _train, pairs=pairs, settings=settings, validation=validation, logger=logger, work_dir=work_dir
    )
    return devices.run_in_each(devices.fabric_for(settings), work, method, work_dir / "trained.pt")


def _train(
    fabric: Fabric,
    method: Method,
    *,
    pairs: Pairs,
    settings: TrainingSettings,
    validation: Pairs,
    logger: Logger,
    work_dir: Path,
) -> Method:
    """What each process does."""
    logger = logger if fabric.is_global_zero else _Silent()
    run = begin(fabric, method, settings)
    recipe = checkpoints.recipe_of(method, settings, pairs)
    run.resume(work_dir, recipe, logger)
    held_out = take(validation, settings.held_out, fabric.device)
    draws = Draws(
        len(pairs),
        range(run.step, settings.steps),
        batch=settings.batch,
        seed=settings.seed,
        mirror=settings.mirror,
        share=run.share,
    )
    stream = batches(pairs, draws, device=fabric.device, workers=settings.workers)
    bar = tqdm(stream, method.name, settings.steps, initial=run.step, unit="step", disable=not fabric.is_global_zero)

    for batch in bar:
        terms = run.advance(batch)
        is_last = run.step == settings.steps
        if run.step % settings.log_every == 0 or is_last:
            run.report(terms, logger)
            is_last = is_last or run.is_out_of_time()
        if run.step % settings.sample_every == 0 or is_last:
            run.show(held_out, logger)
        if is_last or run.is_exhausted:
            break
        if run.step % settings.checkpoint_every == 0:
            run.write(work_dir, recipe)

    run.take_best(work_dir / "best.safetensors")
    return run.averaged.to("cpu").eval()


def begin(fabric: Fabric, method: Method, settings: TrainingSettings) -> "Run":
    """A training on its device, before the first step."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.backends.cudnn.benchmark = True  # sizes stay the same for thousands of steps; on the CPU it does nothing
    method.let_learn(settings.learn)
    method.to(fabric.device, memory_format=torch.channels_last).train()
    devices.take_over(method.state_dict().values())
    return Run(fabric, method, settings)


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
        if settings.checkpointing:
            method.forget_inside_blocks()
        self.share = devices.share_of(fabric)
        self.scaler = torch.amp.GradScaler(fabric.device.type, enabled=settings.precision == "16-mixed")
        self.part = 0  # of the process's batch that is worked on
        self.began = time.monotonic()  # earlier by what a resumed training had already taken
        self.step = 0
        self.phase = ""
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.history: list[tuple[int, dict[str, float]]] = []
        self.first: dict[str, float] = {}  # each term in the step that it first came in
        self.best: Best | None = None
        self.looks_since_best = 0

    @property
    def is_exhausted(self) -> bool:
        """Have the held-out pairs not been drawn better for `patience` looks?"""
        return 0 < self.settings.patience <= self.looks_since_best

    def is_out_of_time(self) -> bool:
        """Has the first process been at it for `max_minutes`?"""
        limit = self.settings.max_minutes
        if not limit or not devices.agreed(time.monotonic() - self.began >= 60 * limit):
            return False
        steps, phase = self.settings.steps, self.phase
        log.warning("%s: out of time after %d of %d steps, in phase %s", self.method.name, self.step, steps, phase)
        return True

    def take_best(self, path: Path) -> None:
        """With `patience` put the best averaged weights back; with `keep_best` write them to `path`."""
        if self.best is None:
            return
        log.info("%s: best after %d of %d steps", self.method.name, self.best.step, self.step)
        best = self.averaged if self.settings.patience else copy.deepcopy(self.averaged)
        best.load_state_dict(self.best.weights)
        if self.settings.keep_best and self.fabric.is_global_zero:
            save(path, best)

    def advance(self, batch: Batch) -> dict[str, Tensor]:
        """The loss terms of one step."""
        phase, steps = _phase_at(self.method.phases, self.step, self.settings.steps)
        if phase.name != self.phase:
            self._begin(phase.name)
        at = Moment(phase.name, self.step - steps.start, len(steps))
        self._set_learning_rates(at.progress)
        is_small = at.progress < self.settings.small_until
        batch = batch.scaled(self.method.settings.scale * (0.5 if is_small else 1))
        if self.settings.recolour:
            batch = recoloured(batch, torch.Generator().manual_seed(self._dice()), self.share)
        terms = self._work_on(batch, at)
        self._note(terms)
        self._average()
        self.step += 1
        return terms

    def _work_on(self, batch: Batch, at: Moment) -> dict[str, Tensor]:
        parts, found = self.settings.accumulate, []
        for self.part in range(parts):
            torch.manual_seed(self._dice(self.share.place * parts + self.part))
            with self.fabric.autocast():
                found.append(self.method.train_step(batch.part(Share(self.part, parts)), self._update, at))
        if self.scaler.is_enabled():
            self.scaler.update()
        if parts == 1:
            return found[0]
        return {name: torch.stack([terms[name] for terms in found]).mean() for name in found[0]}

    def _note(self, terms: dict[str, Tensor]) -> None:
        """Remember the terms that were not there before; only then is a GPU waited for."""
        new = {name: term.clone() for name, term in terms.items() if f"train/{name}" not in self.first}
        devices.average(new.values())
        self.first |= {f"train/{name}": abs(float(term)) for name, term in new.items()}

    def _dice(self, part: int = 0) -> int:
        """The seed of this step for a part of the whole batch."""
        if part == 0:
            return self.settings.seed * 1_000_003 + self.step
        return int(np.random.SeedSequence((self.settings.seed, self.step, part)).generate_state(1)[0])

    def _begin(self, phase: str) -> None:
        self.phase = phase
        self.optimisers = self.method.optimisers(phase)

    def _update(self, name: str, loss: Tensor) -> None:
        optimiser, parts = self.optimisers[name], self.settings.accumulate
        # Only these parameters get a gradient: a generator's loss runs through the critics without touching theirs.
        own = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        self.scaler.scale(loss if parts == 1 else loss / parts).backward(inputs=own)
        if self.part == parts - 1:
            devices.average(parameter.grad for parameter in own if parameter.grad is not None)
            self.scaler.step(optimiser)
            optimiser.zero_grad()  # now: gradients would else take memory until the next, those of a phase to the end
            torch.clear_autocast_cache()  # or what judges later in the step would do so with the weights of before

    def _set_learning_rates(self, progress: float) -> None:
        decay_from = self.settings.decay_from
        factor = 1.0 if progress < decay_from else (1 - progress) / (1 - decay_from)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = factor * self.settings.rate * group.setdefault("initial_lr", group["lr"])

    @torch.no_grad()
    def _average(self) -> None:
        if self.share.count > 1:
            devices.average(self._running_means())
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

    def _running_means(self) -> list[Tensor]:
        """What a state dict has beside parameters and counts: each process has seen its own part of the batch."""
        learnt = {name for name, _ in self.method.named_parameters()}
        state = self.method.state_dict().items()
        return [tensor for name, tensor in state if name not in learnt and tensor.is_floating_point()]

    def report(self, terms: dict[str, Tensor], logger: Logger) -> None:
        """Log the terms; DivergedError when one is no number or out of all proportion to the first ones and its own."""
        devices.average(terms.values())
        values = {f"train/{name}": float(term) for name, term in terms.items()}
        first = sum(map(abs, (self.history[0][1] if self.history else values).values()))
        for name, value in values.items():
            # What comes with a later phase may be weighted otherwise than what the training began with.
            self._check(name, value, limit=self.settings.diverged_at * max(first, self.first[name]))
        self.history.append((self.step, values))
        logger.log(self.step, values)

    def show(self, held_out: Batch, logger: Logger) -> None:
        """Draw the held-out pairs with the averaged weights: the first four as a sheet, all of them as a number.

        DivergedError when they are no pictures: the last step may have spoilt the weights, and no loss tells of it.
        """
        score, name = 0.0, "validation/l1_person"
        if self.fabric.is_global_zero:
            generated = self.averaged.generate(held_out)
            difference = ((generated - held_out.target).abs() * held_out.target_mask).sum()
            score = float(difference / (3 * held_out.target_mask.sum().clamp_min(1)))
        score = devices.agreed(score)
        self._check(name, score)
        if self.fabric.is_global_zero:
            logger.log(self.step, {name: score})
            logger.samples(self.step, sheet(held_out, generated, rows=4))
        self._judge(score)
        self.history.append((self.step, {name: score}))

    def _check(self, name: str, value: float, *, limit: float = math.inf) -> None:
        if math.isfinite(value) and abs(value) <= limit:
            return
        beyond = f", beyond {limit:.4g} (diverged_at {self.settings.diverged_at:g} times the first losses)"
        raise DivergedError(
            f"{self.method.name} diverged: {name} is {value:.4g} after {self.step} steps"
            f"{beyond if math.isfinite(value) else ''}; "
            f"try a lower {self.method.name}.learning_rate or another seed"
        )

    def _judge(self, score: float) -> None:
        """Remember the averaged weights where they are the best so far; before the last phase nothing is drawn well."""
        if not (self.settings.patience or self.settings.keep_best) or self.phase != self.method.phases[-1].name:
            return
        self.looks_since_best += 1
        if self.best is None or score < self.best.score:
            self.best = Best(score, self.step, copy.deepcopy(self.averaged.state_dict()))
            self.looks_since_best = 0

    def write(self, folder: Path, recipe: str) -> None:
        """Write a checkpoint; only the first process does."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "recipe": recipe,
            "step": self.step,
            "phase": self.phase,
            "seconds": time.monotonic() - self.began,
            "method": self.method.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "scaler": self.scaler.state_dict(),
            "history": self.history,
            "first": self.first,
            "best": vars(self.best) if self.best else None,
            "looks_since_best": self.looks_since_best,
        }
        checkpoints.write(folder, state, keep=self.settings.keep_last)

    def resume(self, folder: Path, recipe: str, logger: Logger) -> None:
        """Take up the newest checkpoint of the same recipe that the first process finds; log its history again."""
        state = devices.agreed(checkpoints.newest(folder, recipe) if self.fabric.is_global_zero else None)
        if state is None:
            return
        self.step, self.history, self.first = state["step"], state["history"], state["first"]
        self.began = time.monotonic() - state["seconds"]
        self.best = Best(**state["best"]) if state["best"] else None
        self.looks_since_best = state["looks_since_best"]
        self.method.load_state_dict(state["method"])
        self.averaged.load_state_dict(state["averaged"])
        self.scaler.load_state_dict(state["scaler"])
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


@torch.no_grad()
def sheet(batch: Batch, generated: Tensor, *, rows: int) -> NDArray[np.uint8]:
    """(rows x H, 4 x W, 3) RGB: source, target pose, target, generated, a pair per row."""
    dots = pose_maps(batch.target_joints, batch.size, kind="disc", sigma_px=batch.size[0] / 64).amax(1, keepdim=True)
    columns = [batch.source, (dots * 2 - 1).expand_as(batch.source), batch.target, generated]
    picture = torch.cat(columns, dim=3)[:rows]
    array: NDArray[np.uint8] = to_levels(picture).permute(0, 2, 3, 1).flatten(0, 1).cpu().numpy()
    return array
