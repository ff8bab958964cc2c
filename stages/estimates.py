"""What training as params.yaml says would take: parameters, multiply-adds, hours, memory, disk. Nothing is trained.

Operations and tensors are counted (`models/cost.py`); hours and memory are projections from them, as
docs/training-cost.md explains.
"""

from dataclasses import dataclass, replace

from models.cost import PhaseCost, gradient_bytes, resting_bytes, training_costs, unbuilt
from models.method import Method
from pipeline.params import Params
from stages.pretrain import training_settings

GIB = 2**30
# Multiply-adds a second that one modern GPU is taken to sustain in float32: 25 TFLOP/s, three eighths of what an H100
# can do at most without tensor cores. The ADGAN authors' week on two V100 comes to a third by the same count.
SUSTAINED = 12.5e12
# Of a GPU's memory, beside the tensors: context and workspaces, and gaps between the tensors.
CONTEXT_BYTES, GAPS = 1.0 * GIB, 0.1
# All artifacts of a 176x256 picture with its pack; kept in the workspace, in DVC's cache and by .cache/memo.
PICTURE_BYTES, COPIES = 0.21e6, 3


@dataclass(frozen=True)
class Training:
    """One training of one system."""

    stage: str
    method: str
    batch: int
    times: int  # for how many domains, twice with a twin from random weights
    phases: dict[str, PhaseCost]
    memory_bytes: float

    @property
    def name(self) -> str:
        """As the stage is called."""
        return f"{self.stage}@{self.method}"

    @property
    def operations(self) -> float:
        """Multiply-adds of it all."""
        return self.times * sum(cost.steps * cost.operations for cost in self.phases.values())


@dataclass(frozen=True)
class Estimate:
    """Of everything that params.yaml says."""

    networks: dict[str, dict[str, tuple[int, int]]]  # method -> network -> parameters, and how many of them learn
    trainings: list[Training]
    weights_bytes: int  # of all methods, once

    @property
    def hours(self) -> float:
        """Of all trainings on one modern GPU."""
        return sum(training.operations for training in self.trainings) / SUSTAINED / 3600

    @property
    def memory_gib(self) -> float:
        """Of the GPU, for the training that needs most."""
        return max((training.memory_bytes for training in self.trainings), default=0) / GIB

    def disk_gib(self, params: Params, pictures: int) -> float:
        """For so many pictures, and for the weights with the checkpoint of an unfinished training."""
        size = params.domain(params.pretrain_domain).crop
        data = pictures * PICTURE_BYTES * size.width * size.height / (176 * 256)
        kept = 1 + len(params.other_domains) * (2 if params.finetune["scratch"] else 1)
        return (COPIES * data + (2 * kept + 4) * self.weights_bytes) / GIB


def estimate(params: Params) -> Estimate:
    """Of the listed methods; SettingsError names a wrong value."""
    networks, trainings, weights = {}, [], 0
    for name in params.methods:
        method = unbuilt(name, params.system(name))
        networks[name] = _sizes(method)
        weights += sum(tensor.numel() * tensor.element_size() for tensor in method.state_dict().values())
        trainings += [_training(params, stage, name) for stage in ("pretrain", "finetune")]
    return Estimate(networks, [training for training in trainings if training.phases], weights)


def _training(params: Params, stage: str, name: str) -> Training:
    settings = training_settings(params, stage, name)
    method = unbuilt(name, params.system(name))
    method.let_learn(settings.learn)
    if settings.checkpointing:
        method.forget_inside_blocks()
    crop = params.domain(params.pretrain_domain).crop
    parts = settings.devices * settings.nodes * settings.accumulate
    costs = training_costs(
        method,
        settings.steps,
        batch=settings.batch // parts,
        size=(crop.height, crop.width),
        small_until=settings.small_until,
    )
    phases = {
        phase: replace(cost, operations=parts * cost.operations, sampled=parts * cost.sampled)
        for phase, cost in costs.items()
    }
    twins = 2 if params.finetune["scratch"] else 1
    times = 1 if stage == "pretrain" else len(params.other_domains) * twins
    alive: float = resting_bytes(method, is_averaged=settings.average > 0)
    alive += max((cost.peak_bytes for cost in phases.values()), default=0)
    # Of the parts before, or in the message to the other processes.
    alive += gradient_bytes(method) if parts > 1 else 0
    return Training(stage, name, settings.batch, times, phases, alive * (1 + GAPS) + CONTEXT_BYTES)


def _sizes(method: Method) -> dict[str, tuple[int, int]]:
    sizes = {}
    for name, network in method.named_children():
        counts = [(weight.numel(), weight.requires_grad) for weight in network.parameters()]
        sizes[name] = sum(count for count, _ in counts), sum(count for count, learns in counts if learns)
    return sizes
