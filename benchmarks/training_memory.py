"""The largest batch that trains at full width on GPUs of 16, 24 and 140 GiB, with and without checkpointing.

    python -m benchmarks.training_memory [--methods adgan pg2 ...] [--width 1.0]

Without a GPU it is a projection: weights, gradients, optimisers and the moving average are exact; what a step keeps is
counted on the device `meta` with batches of two and four (`models/cost.py`), the rest goes on in a straight line; the
context of the device and gaps between tensors are assumed as in `stages/estimates.py`. With a GPU the steps are taken
and `torch.cuda.max_memory_allocated` is read instead; only context and gaps stay assumed.
"""

import argparse

import torch
from torch import Tensor

from benchmarks.people import HEIGHT, WIDTH, print_table
from models.cost import resting_bytes, step_cost, unbuilt
from models.data import Batch
from models.method import METHODS, Method, Moment, build
from stages.estimates import CONTEXT_BYTES, GAPS, GIB

GPUS_GIB = (16, 24, 140)
SETTINGS: dict[str, dict[str, object]] = {
    "adgan": {"texture_vgg": "vgg16"},
    "pg2": {},
    "dpig": {"rows": HEIGHT, "columns": WIDTH},
    "spt": {},
    "scagan": {},
}
BATCHES = (2, 4)


def counted(method: Method, batch: int) -> float:
    """Bytes of the largest step of any phase, weights and optimisers included."""
    last = [Moment(phase.name, 99, 100) for phase in method.phases]
    peaks = [step_cost(method, at, batch=batch, size=(HEIGHT, WIDTH)).peak_bytes for at in last]
    return resting_bytes(method, is_averaged=True) + max(peaks)


def measured(method: Method, batch: Batch) -> float:
    """The same of steps that a GPU takes; its optimisers have been used once, so that they have what they remember."""
    averaged = [weight.detach().clone() for weight in method.parameters()]  # as the trainer keeps them
    most = 0.0
    for phase in method.phases:
        optimisers = method.optimisers(phase.name)

        def update(name: str, loss: Tensor, optimisers: dict[str, torch.optim.Optimizer] = optimisers) -> None:
            optimisers[name].zero_grad()
            own = [weight for group in optimisers[name].param_groups for weight in group["params"]]
            loss.backward(inputs=own)
            optimisers[name].step()

        for _ in range(2):
            torch.cuda.reset_peak_memory_stats()
            method.train_step(batch, update, Moment(phase.name, 99, 100))
        most = max(most, torch.cuda.max_memory_allocated())
    del averaged
    return most


def taken(name: str, width: float, *, is_checkpointed: bool) -> tuple[float, float]:
    """Bytes without a batch, and for each picture of it."""
    bytes_of = []
    for batch in BATCHES:
        settings = SETTINGS[name] | {"width": width}
        if torch.cuda.is_available():
            from benchmarks.step_time import make_batch

            method = build(name, settings).to("cuda", memory_format=torch.channels_last).train()
        else:
            method = unbuilt(name, settings)
        if is_checkpointed:
            method.forget_inside_blocks()
        if torch.cuda.is_available():
            bytes_of.append(measured(method, make_batch(batch, torch.device("cuda"))))
        else:
            bytes_of.append(counted(method, batch))
    slope = (bytes_of[1] - bytes_of[0]) / (BATCHES[1] - BATCHES[0])
    return bytes_of[0] - BATCHES[0] * slope, slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--width", type=float, default=1.0)
    args = parser.parse_args()
    rows = []
    for name in args.methods:
        for is_checkpointed in (False, True):
            still, each = taken(name, args.width, is_checkpointed=is_checkpointed)
            largest = [((gpu * GIB - CONTEXT_BYTES) / (1 + GAPS) - still) // each for gpu in GPUS_GIB]
            title = f"{name}, checkpointing" if is_checkpointed else name
            fits = [f"{max(0, int(most)):,}" for most in largest]
            rows.append([title, f"{still / GIB:.2f}", f"{each / GIB:.2f}", *fits])
    kind = "measured" if torch.cuda.is_available() else "projected"
    print(f"largest batch at {HEIGHT}x{WIDTH}, width {args.width}, {kind}")
    head = ["", "GiB without a batch", "GiB a pair", *(f"{gpu} GiB" for gpu in GPUS_GIB)]
    print_table(head, rows)


if __name__ == "__main__":
    main()
