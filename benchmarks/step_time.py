"""A training step of ours against the textbook form of the same network: the same weights, batch and losses.

    python -m benchmarks.step_time --method adgan [--width 1.0 --batch 1 --device cpu --threads 2 --steps 3]

The textbook form is in benchmarks/textbook: ADGAN written from its publication, the other systems with their passes
done one by one and without our short cuts. It runs in float32, eager, with contiguous memory, and takes the gradient of
a loss with respect to everything. All variants take turns, step by step, so that they see the same load of the machine;
times are medians. On a machine that others use, `by processor time` is the ratio to look at: it counts this process
alone, best with --threads 1. Dropout rests: it cannot be the same where passes are joined.

`operations` are multiply-adds of convolutions and matrix products of one step, counted while it runs; `floor` is what
they take at the rate of the device's best convolution or product, measured here; `reached` is the floor's share of the
time; `loss` is the largest relative difference of a loss term of the first step to the textbook's.
"""

import argparse
import copy
import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import default_collate
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.people import HEIGHT, WIDTH, people, print_table
from benchmarks.textbook import forms
from models.data import Batch, to_batch
from models.method import Method, Moment, build
from pipeline.people import edges
from pipeline.people.masks import body_mask

PHASES = {"adgan": "train", "pg2": "coarse", "dpig": "appearance", "spt": "appearance", "scagan": "picture"}
SETTINGS: dict[str, dict[str, object]] = {
    "adgan": {"pose_map": "gaussian", "texture_vgg": "vgg16"},
    "pg2": {},
    "dpig": {"rows": HEIGHT, "columns": WIDTH},
    "spt": {},
    "scagan": {},
}
Terms = dict[str, Tensor]
_WARM_UP = 3  # steps after the one that compiles


@dataclasses.dataclass
class Variant:
    """One way to take a step; what it takes is added as it is measured."""

    name: str
    step: Callable[[], Terms]
    is_compiled: bool = False
    times: list[float] = dataclasses.field(default_factory=list)
    processor_times: list[float] = dataclasses.field(default_factory=list)
    operations: float = 0.0
    terms: dict[str, float] = dataclasses.field(default_factory=dict)


def make_batch(count: int, device: torch.device) -> Batch:
    """Pairs of two pictures of a rendered person."""
    found = list(people(2 * count))
    arrays = []
    for source, target in zip(found[::2], found[1::2], strict=True):
        arrays.append(
            {
                "source": source.image,
                "source_parsing": source.labels,
                "source_joints": source.joints,
                "source_edges": edges.draw_edges(source.image),
                "target": target.image,
                "target_parsing": target.labels,
                "target_joints": target.joints,
                "target_edges": edges.draw_edges(target.image),
                "target_mask": body_mask(target.joints, width=WIDTH, height=HEIGHT),
            }
        )
    batch = to_batch(
        default_collate([{k: np.ascontiguousarray(v) for k, v in each.items()} for each in arrays]), device
    )
    return dataclasses.replace(batch, pseudo=(batch.target_parsing, batch.target_joints))


def rest(network: nn.Module) -> None:
    """No dropout, everything else in training mode."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0


def our_step(method: Method, batch: Batch, phase: str, *, half: bool = False) -> Callable[[], Terms]:
    """A step as the trainer takes it; `half` in bfloat16 where autocast allows."""
    optimisers = method.optimisers(phase)

    def update(name: str, loss: Tensor) -> None:
        optimiser = optimisers[name]
        optimiser.zero_grad()
        loss.backward(inputs=[weight for group in optimiser.param_groups for weight in group["params"]])
        optimiser.step()
        torch.clear_autocast_cache()

    def step() -> Terms:
        torch.manual_seed(0)
        torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(batch.source.device.type, torch.bfloat16, enabled=half):
            return method.train_step(batch, update, Moment(phase, 90, 100))

    return step


def variants(args: argparse.Namespace, device: torch.device) -> Iterator[Variant]:
    batch = make_batch(args.batch, device)
    settings = SETTINGS[args.method] | {"width": args.width}
    method = build(args.method, settings).to(device)
    rest(method)
    phase = args.phase or PHASES[args.method]
    yield Variant("textbook", forms.textbook_step(copy.deepcopy(method), batch, phase))

    def ours(name: str, *, channels_last: bool = True, half: bool = False, mode: str = "") -> Variant:
        own = copy.deepcopy(method)
        if channels_last:
            own.to(memory_format=torch.channels_last)
        if mode:
            _compile(own, mode)
        return Variant(name, our_step(own, batch, phase, half=half), is_compiled=bool(mode))

    yield ours("ours, contiguous", channels_last=False)
    yield ours("ours")
    can_compile = args.compile and (device.type == "cuda" or shutil.which("g++") is not None)
    if can_compile:
        yield ours("ours, compiled", mode="default")
    yield ours("ours, bf16", half=True)
    if can_compile and device.type == "cuda":
        yield ours("ours, bf16, compiled", half=True, mode="default")
        yield ours("ours, bf16, CUDA graphs", half=True, mode="reduce-overhead")


def _compile(method: Method, mode: str) -> None:
    """Compile what a step calls of the networks, not the step around them: its optimisers stay as they are."""
    torch._inductor.config.fallback_random = True  # the same dice as without
    for network in method.children():
        network.compile(mode=mode)
        for name in {"draw", "paint", "transfer"} & set(dir(network)):
            setattr(network, name, torch.compile(getattr(network, name), mode=mode))


def synchronised(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def measure(found: list[Variant], steps: int, device: torch.device) -> None:
    """First a step of each that is counted and warms up, then `steps` rounds in turns.

    A compiled step is not counted, since nothing is compiled under the counter: it does what "ours" does, which came
    before it. It warms up until its CUDA graphs, if any, have been recorded.
    """
    for variant in found:
        if variant.is_compiled:
            terms = variant.step()
            variant.operations = next(other.operations for other in found if other.name == "ours")
        else:
            with FlopCounterMode(display=False) as counter:
                terms = variant.step()
            variant.operations = counter.get_total_flops() / 2
        variant.terms = {name: float(term) for name, term in terms.items()}
        for _ in range(_WARM_UP if variant.is_compiled else 0):
            variant.step()
        print(f"{variant.name}: {variant.operations / 1e9:.1f} G multiply-adds", file=sys.stderr, flush=True)
    for _ in range(steps):
        for variant in found:
            start, busy = synchronised(device), time.process_time()
            variant.step()
            variant.times.append(synchronised(device) - start)
            variant.processor_times.append(time.process_time() - busy)
            told = f"{variant.times[-1]:.2f} s, {variant.processor_times[-1]:.2f} s of the processors"
            print(f"{variant.name}: {told}", file=sys.stderr, flush=True)


def best_rate(device: torch.device, *, half: bool) -> float:
    """Multiply-adds a second of the better of a large product and a large convolution."""
    dtype = torch.bfloat16 if half else torch.float32
    left, right = (torch.randn(2048, 2048, device=device, dtype=dtype) for _ in range(2))
    x = torch.randn(4, 256, 64, 44, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    jobs = (
        (2048.0**3, lambda: left @ right),
        (4.0 * 64 * 44 * 256 * 256 * 9, lambda: F.conv2d(x, weight, padding=1)),
    )
    rates = []
    for operations, job in jobs:
        for _ in range(5):
            start = synchronised(device)
            job()
            rates.append(operations / (synchronised(device) - start))
    return max(rates)


def difference(ours: dict[str, float], theirs: dict[str, float]) -> float:
    assert ours.keys() == theirs.keys(), (ours.keys(), theirs.keys())
    return max(abs(ours[name] - theirs[name]) / max(abs(theirs[name]), 1e-12) for name in theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=tuple(PHASES), default="adgan")
    parser.add_argument("--phase", default="", help="default: the one that most of the work is in")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument(
        "--compile", action="store_true", help="variants that torch.compile has made, minutes the first time"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    found = list(variants(args, device))
    measure(found, args.steps, device)
    rates = {half: best_rate(device, half=half) for half in (False, True)}
    base = found[0]
    rows = []
    for variant in found:
        taken, floor = median(variant.times), variant.operations / rates["bf16" in variant.name]
        rows.append(
            [
                variant.name,
                f"{1000 * taken:.0f}",
                f"{median(base.times) / taken:.2f}",
                f"{median(base.processor_times) / median(variant.processor_times):.2f}",
                f"{variant.operations / 1e9:.1f} G",
                f"{base.operations / variant.operations:.2f}",
                f"{1000 * floor:.0f}",
                f"{floor / taken:.0%}",
                f"{difference(variant.terms, base.terms):.1e}",
            ]
        )
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{args.threads} threads"
    print(
        f"{args.method} {args.phase or PHASES[args.method]}, width {args.width}, {HEIGHT}x{WIDTH}, batch {args.batch}"
    )
    print(f"{where}, {2 * rates[False] / 1e9:.0f} GFLOP/s at best in float32\n")
    print_table(
        [
            "",
            "ms/step",
            "times faster",
            "by processor time",
            "operations",
            "times fewer",
            "floor ms",
            "reached",
            "loss",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
