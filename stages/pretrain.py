"""Train a method on the domain `pretrain.domain`, from random weights or from `models/pretrained/`."""

import dataclasses
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from models.data import Pairs, Unpaired
from models.devices import is_first
from models.method import METHODS, Method, build, save
from models.settings import FREE, TrainingSettings, read_settings
from models.training import train
from pipeline.archives import file_identity
from pipeline.content import digest
from pipeline.errors import UserError
from pipeline.imports import code_of
from pipeline.packed import Pack
from pipeline.params import Params
from pipeline.run import Job
from stages.artifacts import artifact, curves, pack, pseudo_labels
from stages.curves import Curves

log = logging.getLogger(__name__)

# Weights that a user brings, by method; the folder is a dependency of the stage.
BROUGHT = Path("models/pretrained")


def run(job: Job) -> None:
    """Write `data/pretrain/<method>/weights.safetensors` and its curves."""
    params = job.params
    settings = training_settings(params, "pretrain", job.item)
    brought = BROUGHT / f"{job.item}.safetensors"
    start = brought if brought.is_file() else None
    if start:
        log.info("begins with %s", start)
    method = build(job.item, params.system(job.item), seed=params.seed, start=start)
    packed = Pack(pack(params.pretrain_domain))
    work_dir = run_folder(job, f"pretrain-{job.item}", pack(params.pretrain_domain))
    trained = train(
        method,
        training_pairs(packed, method, params.pretrain_domain),
        settings,
        validation=held_out_pairs(packed, method),
        logger=Curves(curves("pretrain", job.item)),
        work_dir=work_dir,
    )
    keep(trained, work_dir, artifact("pretrain", job.item, "weights.safetensors"))


def keep(trained: Method, work_dir: Path, path: Path) -> None:
    """Write the weights to `path`, the best ones to `best/` beside it where the training left them, and clear up."""
    if not is_first():
        return
    save(path, trained)
    best = work_dir / "best.safetensors"
    if best.is_file():
        (path.parent / "best").mkdir(exist_ok=True)
        shutil.move(best, path.parent / "best" / path.name)
    shutil.rmtree(work_dir, ignore_errors=True)


def training_pairs(packed: Pack, method: Method, domain: str) -> Pairs:
    """What a method is trained on: the domain's training pairs, or its training pictures with their pseudo labels."""
    if "pseudo_labels" not in method.reads:
        return Pairs(packed, packed.pairs("train"), method.reads)
    table, row_of = pd.read_parquet(pseudo_labels(domain)), {name: row for row, name in enumerate(packed.names)}
    if table.empty:
        raise UserError(f"{pseudo_labels(domain)} is empty: list {method.name} in methods and run `dvc repro`")
    rows = np.column_stack([table["from"].map(row_of), table["to"].map(row_of)]).astype(np.int32)
    return Unpaired(packed, rows, method.reads)


def run_folder(job: Job, name: str, packed: Path) -> Path:
    """Where a training leaves its checkpoint: another place for another pack, other code or other settings.

    So none is mixed, also when experiments train side by side.
    """
    method = METHODS[job.item].partition(":")[0]
    training = dataclasses.asdict(training_settings(job.params, job.stage, job.item))
    settings = repr((job.params.system(job.item), {key: training[key] for key in training if key not in FREE}))
    code = [code_of(f"stages.{job.stage}"), code_of(method)]
    identity = digest([*code, file_identity(packed, job.memo), settings.encode()])
    return job.cache / "runs" / f"{name}-{identity.hex()[:12]}"


def training_settings(params: Params, stage: str, method: str) -> TrainingSettings:
    """The trainer's settings for a method in `pretrain` or `finetune`, without the keys that are the stage's."""
    values = {key: value for key, value in params.training(stage, method).items() if key not in ("domain", "scratch")}
    return read_settings(TrainingSettings, values | {"seed": params.seed}, where=stage)


def held_out_pairs(packed: Pack, method: Method) -> Pairs:
    """The pairs that are looked at while training: the validation pairs, or training pairs where there are none."""
    rows = packed.pairs("val")
    return Pairs(packed, rows if len(rows) else packed.pairs("train"), method.reads)
