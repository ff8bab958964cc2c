"""Choose the pairs of a domain among the pictures that every stage accepted."""

import pandas as pd

from pipeline import quarantine
from pipeline.people.pairs import PairRules, draw_pairs, keep_pairs, make_pairs
from pipeline.pictures import decode
from pipeline.run import Job
from pipeline.shards import ShardReader
from stages import sheets
from stages.artifacts import artifact, read_keypoints, sheet, write_table


def run(job: Job) -> None:
    """Write `accepted.parquet` (ids), `pairs.parquet` (from, to, split), `quarantine.csv` and the sheet."""
    settings = job.domain.pairs
    catalog = pd.read_parquet(artifact("ingest", job.item, "catalog.parquet"))
    joints = read_keypoints(artifact("keypoints", job.item, "keypoints.parquet"))
    have = [
        set(ShardReader(artifact(stage, job.item, folder), job.memo))
        for stage, folder in (("parsing", "labels"), ("edges", "edges"))
    ]
    rows = catalog[[name in joints and all(name in reader for reader in have) for name in catalog["id"]]]
    write_table(artifact("pairs", job.item, "accepted.parquet"), rows[["id"]].sort_values("id"))

    listed = pd.read_parquet(artifact("ingest", job.item, "pairs.parquet"))
    if settings.use_list and len(listed):
        pairs, set_aside = keep_pairs(listed.itertuples(index=False, name=None), rows, joints)
    else:
        rules = PairRules(settings.max_per_person, settings.require_torso, settings.include_self, settings.seed)
        pairs, set_aside = make_pairs(rows, joints, rules)
    limit, key = settings.max_quarantined, f"domains.{job.item}.pairs.max_quarantined"
    quarantine.enforce(set_aside, total=len(pairs) + len(set_aside), limit=limit, key=key)
    quarantine.write(artifact("pairs", job.item, "quarantine.csv"), set_aside)
    pairs = draw_pairs(pairs, {"train": settings.max_train, "test": settings.max_test}, seed=settings.seed)
    write_table(artifact("pairs", job.item, "pairs.parquet"), pairs)

    images = ShardReader(artifact("crop", job.item, "images"), job.memo)
    every = list(pairs[["from", "to"]].itertuples(index=False, name=None))
    chosen = [every[index] for index in sheets.choose(range(len(every)), 12)]
    shown = {name: decode(images[name]) for pair in chosen for name in pair}
    counts = ", ".join(f"{count} {split}" for split, count in pairs["split"].value_counts(sort=False).items())
    sheets.write_sheet(
        sheet("pairs", job.item),
        f"Pairs · {job.item}",
        [sheets.pair_rows(shown, {name: joints[name] for name in shown}, chosen)],
        subtitle=f"{len(chosen)} of {len(pairs)} pairs: {counts}",
    )
