"""Carry a pretrained method over to every other domain, with the few pairs that it has."""

from models.data import Pairs
from models.method import build, save, start_from
from models.training import train
from pipeline.packed import Pack
from pipeline.run import Job
from stages.artifacts import artifact, curves, pack
from stages.curves import Curves
from stages.pretrain import held_out_pairs, training_settings


def run(job: Job) -> None:
    """Write `data/finetune/<method>/<domain>.safetensors` and the curves of each domain."""
    params = job.params
    settings = training_settings(params.finetune, "finetune", params.seed)
    artifact("finetune", job.item, "").mkdir(parents=True, exist_ok=True)
    curves("finetune", job.item).mkdir(parents=True, exist_ok=True)
    for domain in params.other_domains:
        packed = Pack(pack(domain))
        method = build(job.item, params.methods[job.item], seed=params.seed)
        start_from(method, artifact("pretrain", job.item, "weights.safetensors"))
        trained = train(
            method,
            Pairs(packed, packed.pairs("train")),
            settings,
            validation=held_out_pairs(packed),
            logger=Curves(curves("finetune", job.item) / domain),
            work_dir=job.cache / "runs" / f"finetune-{job.item}-{domain}",
        )
        save(artifact("finetune", job.item, f"{domain}.safetensors"), trained)
