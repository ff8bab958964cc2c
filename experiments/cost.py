"""Question 4: what makes training cheaper, and what does that cost in quality?

Run as `python -m experiments.cost`. Seconds are of this machine; each option is measured in a process of its own.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from lightning.fabric import Fabric
from torch.utils.flop_counter import FlopCounterMode

from experiments import plots, settings
from experiments.scores import Scores, read_scores
from experiments.settings import Row, Settings
from experiments.tables import Result, Table, cell, said, verdict
from experiments.trainings import budget, pairs_of
from models.adgan import Adgan
from models.data import Batch, one_hot, take
from models.features import Trunk, layer_index
from models.method import build
from models.training import Run, TrainingSettings
from pipeline.packed import Pack
from stages.artifacts import pack

BASE = "cost_as_it_is"
LAST_TAP = "relu4_1"  # of the VGG beside ADGAN's texture encoder
_GIGA, _MEGA = 1e9, 2**20


@dataclass(frozen=True)
class Cost:
    """Of one step: seconds (median), thousand million multiply-adds; peak memory above what was there before, MiB."""

    seconds: float
    gmacs: float
    peak_mib: float


def measure_row(name: str, group: str) -> Cost:
    """The mean cost of a step over a whole training of the row: first steps may be smaller and without critics."""
    torch.set_num_threads(1)
    found = settings.read()
    row = found.rows[group][name]
    params = settings.root_params(row)
    trained = budget(found, params, row)
    method = build(row.method, params.system(row.method), seed=params.seed)
    method.let_learn(trained.learn)
    method.to(memory_format=torch.channels_last).train()
    run = Run(Fabric(accelerator="cpu", devices=1, precision=trained.precision), method, trained)
    batch = take(pairs_of(Pack(pack(row.domain)), method, row), trained.batch, torch.device("cpu"))
    before = _peak_mib()
    costs = []
    for start, share in moments(method, trained):
        seconds, gmacs = time_and_count(partial(_step, run, batch, start), found.timed_steps)
        costs.append((seconds * share, gmacs * share))
    return Cost(sum(s for s, _ in costs), sum(g for _, g in costs), _peak_mib() - before)


def _step(run: Run, batch: Batch, start: int) -> None:
    run.step = start
    run.advance(batch)


def moments(method: torch.nn.Module, trained: TrainingSettings) -> list[tuple[int, float]]:
    """(a step, the share of the training that is like it): at half size, at full size, with critics."""
    critics = method.settings.critics_after if method.settings.critics != "none" else 1.0
    edges = sorted({0.0, trained.small_until, critics, 1.0})
    return [
        (min(trained.steps - 1, round((low + high) / 2 * trained.steps)), high - low) for low, high in pairwise(edges)
    ]


def time_and_count(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Median seconds of the processor and thousand million multiply-adds of the work; the first time does not count.

    With one thread the processor's seconds do not depend on who else uses the machine.
    """
    work()
    seconds = []
    for _ in range(times):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    with FlopCounterMode(display=False) as counter:
        work()
    return statistics.median(seconds), counter.get_total_flops() / 2 / _GIGA


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MEGA


def apart(work: Callable[..., Cost], *arguments: str) -> Cost:
    """What `work` gives in a fresh process, whose peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def measure_encoding(way: str) -> Cost:
    """The eight masked pictures through the texture encoder: `folded` into one batch, or one after the other."""
    torch.set_num_threads(1)
    found, row = settings.read(), Row("cost", "", "adgan")
    method = build("adgan", settings.root_params(row).system("adgan"))
    assert isinstance(method, Adgan)
    packed = Pack(pack("source"))
    batch = take(pairs_of(packed, method, row), 4, torch.device("cpu")).scaled(method.settings.scale)
    masks = one_hot(batch.source_parsing)
    encode = method.generator.encode
    works: dict[str, Callable[[], object]] = {
        "folded": lambda: encode(batch.source, masks),
        "one after the other": lambda: [encode(batch.source, masks[:, k : k + 1]) for k in range(masks.shape[1])],
    }
    before = _peak_mib()
    with torch.no_grad():
        return Cost(*time_and_count(works[way], found.timed_steps), _peak_mib() - before)


def measure_vgg(way: str) -> Cost:
    """A VGG-16 on one full-size picture: all its layers, or as far as the last that is read."""
    torch.set_num_threads(1)
    layers = layer_index("vgg16", LAST_TAP) + 1 if way == "truncated" else None
    trunk, picture = Trunk("vgg16", layers=layers), torch.zeros(1, 3, 256, 176)
    before = _peak_mib()
    with torch.no_grad():
        return Cost(*time_and_count(lambda: trunk(picture), settings.read().timed_steps), _peak_mib() - before)


def main() -> None:
    """Write results/cost.json and the Pareto plot."""
    found = settings.read()
    rows = found.of("cost")
    costs = {name: apart(measure_row, name, "trained") for name in rows}
    scores = {name: read_scores("trained", name) for name in rows}
    steps = {name: budget(found, settings.root_params(row), row).steps for name, row in rows.items()}
    table: Table = {
        row.title: {
            "s a step": round(costs[name].seconds, 3),
            "G multiply-adds a step": round(costs[name].gmacs, 2),
            "peak memory, MiB": round(costs[name].peak_mib),
            "minutes in all": round(costs[name].seconds * steps[name] / 60, 2),
            "SSIM in the person's mask": cell(scores[name].interval("ssim_mask", found)),
            "minus as it is": cell(scores[name].minus(scores[BASE], "ssim_mask", found)),
            "joints, px away": cell(scores[name].interval("joint_error_px", found)),
        }
        for name, row in rows.items()
    }
    parts: Table = {}
    for title, cost in {
        "eight masks folded into one batch": apart(measure_encoding, "folded"),
        "eight masks one after the other": apart(measure_encoding, "one after the other"),
        "VGG-16 whole, one picture of 256x176": apart(measure_vgg, "whole"),
        f"VGG-16 as far as {LAST_TAP}": apart(measure_vgg, "truncated"),
        "step of fine-tuning everything": apart(measure_row, "everything_14", "carried"),
        "step with frozen encoders": apart(measure_row, "frozen_14", "carried"),
    }.items():
        parts[title] = {
            "s": round(cost.seconds, 3),
            "G multiply-adds": round(cost.gmacs, 2),
            "peak memory, MiB": round(cost.peak_mib),
        }
    frozen = read_scores("carried", "frozen_14").minus(read_scores("carried", "everything_14"), "ssim_mask", found)
    Result(
        "4. What makes training cheaper?",
        f"ADGAN from random weights, {steps[BASE]} steps of the same batch for every row, scored on "
        f"{len(scores[BASE].groups)} test pairs, protocol plain, 95 % intervals over {scores[BASE].resampled}. The "
        "cost of a step is its mean over the training, on one core: medians of the seconds that the processor spent, "
        "and the multiply-adds of convolutions and matrix products.",
        [
            *reading(found, costs, scores),
            f"Frozen encoders on the drawn characters, 14 pictures: {verdict(frozen)} in SSIM.",
        ],
        {"Options that are parameters": table, "Parts of the work": parts},
        {
            draw(
                found, costs, scores, steps
            ): "Quality against minutes of training: what is up and to the left is better"
        },
    ).write("cost")


def reading(found: Settings, costs: dict[str, Cost], scores: dict[str, Scores]) -> list[str]:
    """Which options cost quality, and the recommendation: the cheapest that is not clearly worse."""
    rows = found.of("cost")
    told = []
    for name, row in rows.items():
        if name == BASE:
            continue
        change = scores[name].minus(scores[BASE], "ssim_mask", found)
        ratio = costs[name].gmacs / costs[BASE].gmacs
        told.append(f"{row.title}: {ratio:.2f} times the multiply-adds, SSIM in the mask {verdict(change)}.")
    lost = scores[BASE].minus(read_scores("source", "copy_source"), "joint_error_px", found)
    if lost.low > 0:
        told.append(
            f"Nobody is drawn well yet: joints are found again {verdict(lost)} px further away than in a copy of the "
            "source, so all of this speaks of the first steps of a training alone."
        )
    fit = [name for name in rows if name == BASE or scores[name].minus(scores[BASE], "ssim_mask", found).high >= 0]
    cheapest = min(fit, key=lambda name: costs[name].gmacs)
    told.append(
        f"Recommendation, for trainings as short as these: {rows[cheapest].title}, the fewest multiply-adds "
        f"({costs[cheapest].gmacs / costs[BASE].gmacs:.2f} of what params.yaml takes) of all that are not clearly "
        f"worse ({said(scores[cheapest].interval('ssim_mask', found))} against "
        f"{said(scores[BASE].interval('ssim_mask', found))})."
    )
    return told


def draw(found: Settings, costs: dict[str, Cost], scores: dict[str, Scores], steps: dict[str, int]) -> str:
    """The Pareto plot."""
    figure, axes = plots.panels(2, width=5.0, height=3.8)
    rows = found.of("cost")
    across = {
        "minutes of training, one core": lambda name: costs[name].seconds * steps[name] / 60,
        "thousand million multiply-adds a step": lambda name: costs[name].gmacs,
    }
    for axis, (title, place) in zip(axes, across.items(), strict=True):
        found_at = {name: (place(name), scores[name].interval("ssim_mask", found)) for name in rows}
        for (name, (x, y)), colour in zip(found_at.items(), plots.COLOURS, strict=False):
            axis.errorbar(
                x, y.value, [[y.value - y.low], [y.high - y.value]], fmt="o", color=colour, label=rows[name].title, ms=5
            )
        best = [
            each
            for each in found_at.values()
            if not any(x < each[0] and y.value > each[1].value for x, y in found_at.values())
        ]
        best.sort(key=lambda each: each[0])
        axis.step([x for x, _ in best], [y.value for _, y in best], where="post", color=plots.SOFT, lw=1, zorder=0)
        axis.set_xlabel(title, fontsize=9)
        axis.set_ylabel("SSIM in the person's mask", fontsize=9)
    axes[0].legend(fontsize=6.5, frameon=False)
    return plots.write(figure, "cost")


if __name__ == "__main__":
    main()
