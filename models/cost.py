"""What a training step costs, counted without taking one: multiply-adds, and the bytes that are alive at once.

The step runs on PyTorch's device `meta`, where tensors have shapes and no numbers. It counts what the code asks for,
whatever the device; what a device adds (workspaces of its kernels, gaps in its memory) is not in it.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from models.data import Batch
from models.method import Method, Moment, method_class
from models.settings import read_settings

_ROUND = 10  # steps after which every system's turns begin again (a WGAN's critic, DPIG's mappings)


@dataclass(frozen=True)
class Cost:
    """Of one step."""

    operations: float  # multiply-adds of convolutions and matrix products
    peak_bytes: int  # of all that a step makes, gradients included; weights and optimisers come on top


@dataclass(frozen=True)
class PhaseCost(Cost):
    """Of a step of a phase: the mean, and the peak of the largest."""

    steps: int
    sampled: float  # mean operations of the `sampled_steps` alone


def unbuilt(name: str, settings: Mapping[str, Any]) -> Method:
    """The system `name` on the device `meta`, in training mode; SettingsError names a wrong key."""
    kind = method_class(name)
    checked: Any = read_settings(kind.Settings, settings, where=name)
    with torch.device("meta"):
        method = kind(checked)
    return method.to("meta").train()


def resting_bytes(method: Method, *, is_averaged: bool) -> int:
    """Weights, what the optimisers remember of them, and their moving average."""
    weights = {id(tensor): _bytes(tensor) for tensor in (*method.parameters(), *method.buffers())}
    remembered = {}
    for phase in method.phases:
        per_phase = 0
        for optimiser in method.optimisers(phase.name).values():
            times = 2 if isinstance(optimiser, torch.optim.Adam) else 1
            per_phase += sum(times * _bytes(weight) for group in optimiser.param_groups for weight in group["params"])
        remembered[phase.name] = per_phase
    return sum(weights.values()) * (2 if is_averaged else 1) + max(remembered.values())


def gradient_bytes(method: Method) -> int:
    """Of the phase that has most: what a batch in parts keeps from one part to the next."""
    sizes = [0]
    for phase in method.phases:
        groups = [group for optimiser in method.optimisers(phase.name).values() for group in optimiser.param_groups]
        sizes.append(sum(_bytes(weight) for group in groups for weight in group["params"]))
    return max(sizes)


def step_cost(method: Method, at: Moment, *, batch: int, size: tuple[int, int]) -> Cost:
    """Of the step at a moment of the training, with a batch of pictures of `size` (H, W), the pack's."""
    optimisers = method.optimisers(at.phase)

    def update(name: str, loss: Tensor) -> None:
        own = [weight for group in optimisers[name].param_groups for weight in group["params"]]
        loss.backward(inputs=own)
        for weight in own:
            weight.grad = None

    seen = _empty_batch(batch, size).scaled(method.settings.scale)
    with _Peak() as peak, FlopCounterMode(display=False) as counter, _AsOnDevices():
        method.train_step(seen, update, at)
    return Cost(counter.get_total_flops() / 2, peak.most)


def sampled_steps(count: int) -> list[int]:
    """Steps that stand for a phase of `count`: in the middle of each fifth, where a round begins."""
    return [int(count * share) // _ROUND * _ROUND for share in (0.1, 0.3, 0.5, 0.7, 0.9)]


def training_costs(
    method: Method, steps: int, *, batch: int, size: tuple[int, int], small_until: float = 0.0
) -> dict[str, PhaseCost]:
    """By phase, for those that get any of the `steps`.

    Five steps of a phase stand for the others, and the last of a round for each last one: where critics take several
    steps before their generator takes one, that is its turn.
    """
    whole, done, start, found = sum(phase.share for phase in method.phases), 0.0, 0, {}
    for phase in method.phases:
        done += phase.share
        stop = round(steps * done / whole)
        count, start = stop - start, stop
        if not count:
            continue

        def at(step: int, phase: str = phase.name, count: int = count) -> Cost:
            step = min(count - 1, step)
            shown = (size[0] // 2, size[1] // 2) if step < count * small_until else size
            return step_cost(method, Moment(phase, step, count), batch=batch, size=shown)

        sampled_at = sampled_steps(count)
        costs, last = [at(step) for step in sampled_at], at(sampled_at[-1] + _ROUND - 1)
        sampled = sum(cost.operations for cost in costs) / len(costs)
        mean, peak = sampled + (last.operations - costs[-1].operations) / _ROUND, max(each.peak_bytes for each in costs)
        found[phase.name] = PhaseCost(mean, max(peak, last.peak_bytes), count, sampled)
    return found


def _empty_batch(batch: int, size: tuple[int, int]) -> Batch:
    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty((batch, *shape), dtype=dtype, device="meta")

    labels, joints = empty(*size, dtype=torch.uint8), empty(18, 3)
    return Batch(
        source=empty(3, *size),
        source_parsing=labels,
        source_joints=joints,
        target=empty(3, *size),
        target_parsing=labels,
        target_joints=joints,
        target_mask=empty(1, *size),
        source_edges=empty(1, *size),
        target_edges=empty(1, *size),
        pseudo=(labels, joints),
    )


class _AsOnDevices(TorchFunctionMode):
    """What `meta` does otherwise than devices that compute.

    Numbers that a system wants to read on the CPU (joints, to draw parts of the body from them) are zeros. Sampling at
    places is one operation, not the hundred small ones that `meta` takes it apart into.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.cpu and args[0].is_meta:
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        if func is F.grid_sample and args[0].is_meta:
            return _Sampled.apply(*args[:2])  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


class _Sampled(torch.autograd.Function):
    """Shapes of `grid_sample` and of its gradients; it keeps what the real one keeps."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, grid_Bhw2: Tensor) -> Tensor:
        ctx.save_for_backward(x_BCHW, grid_Bhw2)
        return x_BCHW.new_empty((*x_BCHW.shape[:2], *grid_Bhw2.shape[1:3]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return tuple(
            torch.empty_like(kept) if is_needed else None
            for kept, is_needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=True)
        )


class _Peak(TorchDispatchMode):
    """`most`: bytes of the tensors on `meta` that were made inside and alive at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.most = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.is_meta:
                self._count(leaf.untyped_storage(), given)
        return out

    def _count(self, storage: Any, given: set[int]) -> None:
        if id(storage) in given or storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.alive += size
        self.most = max(self.most, self.alive)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.alive -= size


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
