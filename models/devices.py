"""Where a training runs: on one device, or in several processes, each of which has a device and a share of every batch.

Nothing is wrapped around a network: what an optimiser is about to use is averaged over the processes just before it
steps, so that a system may call its networks as it likes. Processes come from here (`devices`), or were started from
outside by `torchrun` or `fabric run`, which is how several machines (`nodes`) work together.
"""

import copy
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric import Fabric
from torch import Tensor
from torch.multiprocessing.spawn import ProcessException

from models.data import Share
from models.method import Method
from models.settings import SettingsError, TrainingSettings
from pipeline.errors import UserError

Work = Callable[[Fabric, Method], Method]

_GOES_ON = "where nothing else says why, the same commands again go on from the newest checkpoint"
_NOTICED_S = 3.0  # after which the program that started the processes has seen that one of them ended


class LostError(UserError):
    """Another process of the training does not answer any more."""


def is_first() -> bool:
    """Does this program write results? All do but those that a launcher started beside the first."""
    return int(os.environ.get("RANK", 0)) == 0


def fabric_for(settings: TrainingSettings) -> Fabric:
    """The devices of a training; SettingsError where they are not there, or other ones were started than are set."""
    has_cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not has_cuda:
        raise SettingsError("device: there is no CUDA device that this PyTorch can use; take auto or cpu")
    on_cuda = has_cuda and settings.device != "cpu"
    if settings.precision == "16-mixed" and not on_cuda:
        raise SettingsError("precision: 16-mixed needs a CUDA device; on the CPU take 32-true or bf16-mixed")
    if on_cuda and settings.devices > torch.cuda.device_count():
        raise SettingsError(f"devices: {settings.devices}, but this machine has {torch.cuda.device_count()}")
    is_started = _check_launcher(settings)
    several = settings.devices * settings.nodes > 1
    return Fabric(
        accelerator=settings.device,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=("ddp" if is_started else "ddp_spawn") if several else "auto",
        precision=settings.precision,  # type: ignore[arg-type]
    )


def _check_launcher(settings: TrainingSettings) -> bool:
    """Were this process and others started from outside, as many as the settings say?"""
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    if not devices and settings.nodes > 1:
        raise SettingsError(f"nodes: {settings.nodes} machines need a launcher; docs/training.md has the commands")
    nodes = int(os.environ["WORLD_SIZE"]) // devices if devices else 0
    if devices and (devices, nodes) != (settings.devices, settings.nodes):
        raise SettingsError(
            f"devices: {settings.devices} x nodes: {settings.nodes}, but the launcher started {devices} x {nodes}; "
            "set them alike, since the weights depend on them"
        )
    return bool(devices)


def run_in_each(fabric: Fabric, work: Work, method: Method, handover: Path) -> Method:
    """What `work(fabric, method)` gives, which runs in each process; `handover` is a file between them for a moment.

    A UserError of any of them is raised here, as one.
    """
    if fabric.world_size == 1:
        return work(fabric, method)
    if "LOCAL_WORLD_SIZE" in os.environ:
        if "LT_CLI_USED" not in os.environ:  # `fabric run` has done it
            fabric.launch()
        return work(fabric, method)
    handover.parent.mkdir(parents=True, exist_ok=True)
    mistake = handover.with_suffix(".error")
    mistake.unlink(missing_ok=True)
    try:
        fabric.launch(_hand_over, _Sealed((work, method, handover, mistake, os.getpid())))
    except ProcessException as lost:
        if mistake.is_file():
            raise UserError(mistake.read_text()) from None
        reason = str(lost).strip().splitlines()[-1]
        raise UserError(f"a process of the training was lost: {reason}; {_GOES_ON}") from lost
    method.load_state_dict(torch.load(handover, weights_only=True))
    handover.unlink()
    return method.eval()


class _Sealed:
    """Values that Fabric shall hand to the processes as they are."""

    def __init__(self, values: Any) -> None:
        self.values = values


def _hand_over(fabric: Fabric, sealed: _Sealed) -> None:
    work, method, handover, mistake, parent = sealed.values
    if os.getppid() != parent:
        raise SystemExit  # the training was killed while this process came up
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C, or the end of the training: at once, and nothing to say
    try:
        # A copy: the processes would else share the memory of the weights.
        trained = work(fabric, copy.deepcopy(method))
    except UserError as error:
        if isinstance(error, LostError):
            time.sleep(_NOTICED_S)  # or this would be told, and not what became of the other: this one is ended by then
        mistake.write_text(str(error))
        raise
    if fabric.is_global_zero:
        torch.save(trained.state_dict(), handover)


def share_of(fabric: Fabric) -> Share:
    """The part of every batch that this process works on."""
    return Share(fabric.global_rank, fabric.world_size)


@contextmanager
def _together() -> Iterator[None]:
    """LostError where the processes cannot speak to each other: RuntimeError of gloo, a kind of it of NCCL."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].rpartition("] ")[2]  # without the line of gloo's source
        raise LostError(f"a process of the training was lost ({reason}); {_GOES_ON}") from error


def agreed(value: Any) -> Any:
    """What the first process has for `value`."""
    if not dist.is_initialized():
        return value
    values = [value]
    with _together():
        dist.broadcast_object_list(values)
    return values[0]


@torch.no_grad()
def take_over(tensors: Iterable[Tensor]) -> None:
    """Fill the tensors with those of the first process."""
    for tensor in tensors if dist.is_initialized() else ():
        whole = tensor.contiguous()
        with _together():
            dist.broadcast(whole, 0)
        tensor.copy_(whole)


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its mean over the processes, all in one message; every process ends with the same bits."""
    tensors = list(tensors) if dist.is_initialized() else []
    if not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _together():
        dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view(tensor.shape))
