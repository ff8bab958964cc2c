"""How fast this machine trains what params.yaml says: a few steps of every phase are taken, the others follow by count.

The steps are the trainer's own, on rendered people, from fresh weights. The moments of a phase that are timed are those
that `models/cost.py` counts; other steps are taken to do as many multiply-adds a second.
"""

import functools
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import NoReturn

import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate
from tqdm import tqdm

from models.cost import sampled_steps
from models.data import Arrays, Batch, to_batch
from models.devices import fabric_for
from models.method import build
from models.settings import TrainingSettings
from models.training import Run, begin
from pipeline.params import Params
from pipeline.people.edges import draw_edges
from pipeline.people.masks import body_mask
from pipeline.people.skeleton import is_present
from pipeline.render import plan, render
from stages.estimates import Training
from stages.pretrain import training_settings

_PAIRS = 3  # that are rendered; a batch repeats them
_TIMED = 2  # steps at each moment, after one that warms up


@dataclass(frozen=True)
class Pace:
    """Of a phase, on one device of this machine."""

    device: str
    seconds: float  # a step, the mean over the phase
    memory_bytes: int  # the most that a CUDA device had given out; 0 on the CPU


def paces(params: Params, trainings: list[Training]) -> dict[tuple[str, str], Pace]:
    """By name of a training and of a phase. SettingsError where a training wants a device that is not here.

    Of several devices one is looked at, with its part of the batch; what they tell each other is not.
    """
    crop = params.domain(params.pretrain_domain).crop
    pairs, found = _rendered(crop.width, crop.height), {}
    counts = [cost.steps for training in trainings for cost in training.phases.values()]
    steps = sum((1 + _TIMED) * len(sampled_steps(count)) for count in counts)
    with tqdm(total=steps, desc="taking some steps", unit="step", leave=False) as bar:
        for training in trainings:
            settings = _of_one_device(training_settings(params, training.stage, training.method))
            run = begin(fabric_for(settings), build(training.method, params.system(training.method)), settings)
            batch = _batch(pairs, settings.batch, run.fabric.device)
            start = 0
            for phase, cost in training.phases.items():
                at = [start + step for step in sampled_steps(cost.steps)]
                _forget_peak(run)
                seconds = [_seconds(run, step, batch, bar) for step in at]
                mean = sum(seconds) / len(seconds) * cost.operations / cost.sampled
                found[training.name, phase] = Pace(_name(run), mean, _peak(run))
                start += cost.steps
    return found


def _of_one_device(settings: TrainingSettings) -> TrainingSettings:
    return replace(settings, batch=settings.batch // (settings.devices * settings.nodes), devices=1, nodes=1)


def _seconds(run: Run, step: int, batch: Batch, bar: "tqdm[NoReturn]") -> float:
    """Of this step, which is taken several times."""
    for number in range(1 + _TIMED):
        if number == 1:
            began = _now(run)
        run.step = step
        run.advance(batch)
        bar.update()
    return (_now(run) - began) / _TIMED


def _now(run: Run) -> float:
    if run.fabric.device.type == "cuda":
        torch.cuda.synchronize(run.fabric.device)
    return time.perf_counter()


def _name(run: Run) -> str:
    if run.fabric.device.type == "cuda":
        return torch.cuda.get_device_name(run.fabric.device)
    return f"CPU, {torch.get_num_threads()} threads"


def _forget_peak(run: Run) -> None:
    if run.fabric.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.fabric.device)


def _peak(run: Run) -> int:
    return torch.cuda.max_memory_allocated(run.fabric.device) if run.fabric.device.type == "cuda" else 0


def _batch(pairs: list[Arrays], count: int, device: torch.device) -> Batch:
    batch = to_batch(default_collate([pairs[row % len(pairs)] for row in range(count)]), device)
    return replace(batch, pseudo=(batch.target_parsing, batch.target_joints))


@functools.cache
def _rendered(width: int, height: int) -> list[Arrays]:
    """Pairs as a pack's reader gives them, with everything that any system reads."""
    figures = [render(spec) for spec in islice(plan("natural", people=1, poses=2 * _PAIRS, seed=0), 2 * _PAIRS)]
    pairs = []
    for source, target in zip(figures[::2], figures[1::2], strict=True):
        pair: Arrays = {}
        for side, figure in (("source", source), ("target", target)):
            joints = figure.joints.astype(np.float32)
            old_height, old_width = figure.labels.shape
            joints[is_present(joints), :2] *= (width / old_width, height / old_height)
            image = np.array(Image.fromarray(figure.image).resize((width, height)))
            parsing = np.array(Image.fromarray(figure.labels).resize((width, height), Image.Resampling.NEAREST))
            pair |= {side: image, f"{side}_parsing": parsing, f"{side}_joints": joints}
            pair[f"{side}_edges"] = draw_edges(image)
        pairs.append(pair | {"target_mask": body_mask(pair["target_joints"], width=width, height=height)})
    return pairs
