"""Stages carry and train: one row of params.yaml, trained.

Run as `python -m experiments.trainings trained adgan-as_it_is`. A run that was killed goes on from its checkpoint.
"""

import argparse
import json
import shutil
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments import settings
from experiments.settings import HERE, Row, Settings, trained_folder
from models.data import Pairs, Unpaired
from models.method import Method, build, save
from models.training import TrainingSettings, train
from pipeline.errors import UserError
from pipeline.packed import Pack
from pipeline.params import Params
from stages.artifacts import artifact, pack
from stages.pretrain import held_out_pairs, training_settings

# Step number -> values, as the trainer logs them.
History = dict[str, dict[str, float]]
Rows = NDArray[np.int32]

LOG_EVERY, LOOK_EVERY = 10, 40


class Log:
    """Keeps the scalars of a training; its pictures are not kept."""

    def __init__(self) -> None:
        self.history: History = {}

    def log(self, step: int, values: dict[str, float]) -> None:
        """Scalars after `step` steps."""
        rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
        self.history.setdefault(str(step), {}).update(rounded)

    def samples(self, step: int, sheet: NDArray[np.uint8]) -> None:
        """Pictures are drawn when the row is scored."""


def run(found: Settings, row: Row, work_dir: Path) -> tuple[Method, History]:
    """The trained system of a row and what was logged."""
    params = settings.root_params(row)
    packed = Pack(pack(row.domain))
    start = artifact("pretrain", row.method, "weights.safetensors") if row.begins == "pretrained" else None
    method = build(row.method, params.system(row.method), seed=params.seed, start=start)
    log = Log()
    trained = train(
        method,
        pairs_of(packed, method, row),
        budget(found, params, row),
        validation=held_out_pairs(packed, method),
        logger=log,
        work_dir=work_dir,
    )
    return trained, log.history


def budget(found: Settings, params: Params, row: Row) -> TrainingSettings:
    """The root's settings of the training with the steps of this size; the last weights are kept, not the best.

    The best would be chosen with held-out pictures, which a domain of few pictures does not have.
    """
    is_carried = row.domain != params.pretrain_domain
    own = training_settings(params, "finetune" if is_carried else "pretrain", row.method)
    share = found.size.share["carried" if is_carried else row.method] * row.share
    steps = 0 if not share else max(LOG_EVERY, round(own.steps * share))
    return replace(
        own,
        steps=steps,
        patience=0,
        log_every=LOG_EVERY,
        sample_every=LOOK_EVERY,
        checkpoint_every=LOOK_EVERY,
        threads=1,
    )


def pairs_of(packed: Pack, method: Method, row: Row) -> Pairs:
    """What the row is trained on: the pairs of the training pictures that it may see, or these with pseudo labels."""
    rows = packed.pairs("train")
    if "pseudo_labels" in method.reads:
        return Unpaired(packed, np.load(HERE / "data" / "pseudo_labels.npy"), method.reads)
    if row.pictures:
        rows = rows[np.isin(rows, in_turn(packed, rows)[: row.pictures]).all(1)]
    return Pairs(packed, rows, method.reads)


def in_turn(packed: Pack, rows: Rows) -> list[int]:
    """The pictures of the pairs, one of each person in turn, so that the first few show everybody."""
    by_person: dict[str, list[int]] = {}
    for picture in sorted({int(picture) for picture in rows.ravel()}):
        by_person.setdefault(packed.persons[picture], []).append(picture)
    turns = chain.from_iterable(zip_longest(*by_person.values()))
    return [picture for picture in turns if picture is not None]


def main(argv: list[str] | None = None) -> None:
    """Write data/<group>/<row>/weights.safetensors and curves.json."""
    parser = argparse.ArgumentParser(prog="python -m experiments.trainings", description="Train a row of params.yaml.")
    parser.add_argument("group", choices=settings.GROUPS)
    parser.add_argument("row")
    args = parser.parse_args(argv)
    found = settings.read()
    if args.row not in found.rows[args.group]:
        raise UserError(f"experiments/params.yaml: {args.group} has no row '{args.row}'")
    work_dir = HERE / ".cache" / "runs" / args.group / args.row
    trained, history = run(found, found.rows[args.group][args.row], work_dir)
    folder = trained_folder(args.group, args.row)
    save(folder / "weights.safetensors", trained)
    (folder / "curves.json").write_text(json.dumps(history, indent=0) + "\n")
    shutil.rmtree(work_dir, ignore_errors=True)


if __name__ == "__main__":
    main()
