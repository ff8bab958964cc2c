"""Carry a pretrained method over to every other domain, with the few pairs that it has.

To show what the pretraining is worth, the same steps are also taken from random weights.
"""

from pathlib import Path

from models.method import build
from models.training import train
from pipeline.packed import Pack
from pipeline.run import Job
from stages.artifacts import artifact, curves, pack
from stages.curves import Curves
from stages.pretrain import held_out_pairs, keep, run_folder, training_pairs, training_settings


def run(job: Job) -> None:
    """Write `data/finetune/<method>/<domain>.safetensors`, its `scratch` twin and the curves of both."""
    pretrained = artifact("pretrain", job.item, "weights.safetensors")
    for folder in (artifact("finetune", job.item, "scratch"), curves("finetune", job.item)):
        folder.mkdir(parents=True, exist_ok=True)
    for domain in job.params.other_domains:
        _train(job, domain, domain, start=pretrained)
        if job.params.finetune["scratch"]:
            _train(job, domain, f"scratch/{domain}", start=None)


def _train(job: Job, domain: str, name: str, *, start: Path | None) -> None:
    params, packed = job.params, Pack(pack(domain))
    method = build(job.item, params.system(job.item), seed=params.seed, start=start)
    work_dir = run_folder(job, f"finetune-{job.item}-{name.replace('/', '-')}", pack(domain))
    trained = train(
        method,
        training_pairs(packed, method, domain),
        training_settings(params, "finetune", job.item),
        validation=held_out_pairs(packed, method),
        logger=Curves(curves("finetune", job.item) / name),
        work_dir=work_dir,
    )
    keep(trained, work_dir, artifact("finetune", job.item, f"{name}.safetensors"))
