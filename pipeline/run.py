"""Run one stage: `python -m pipeline.run STAGE[@ITEM]`, as dvc.yaml does.

Reads and checks params.yaml, takes the lock of the stage's item, runs `stages.STAGE.run(job)`, and appends what it took
to the git-ignored `runs.jsonl`. A mistake of the user's ends in one message and exit code 1, without a traceback.
"""

import argparse
import fcntl
import importlib
import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

from pipeline import params as params_module
from pipeline.content import digest
from pipeline.engine import Engine, Item, Results, Worker, map_items
from pipeline.errors import UserError
from pipeline.faults import storage_trouble
from pipeline.imports import code_of
from pipeline.memo import Memo, is_damage
from pipeline.params import Domain, Params
from pipeline.processes import die_with_parent, set_up, when_terminated

T = TypeVar("T")

log = logging.getLogger(__name__)

# What a shell says of a program that Ctrl-C ended, and one that was asked to end.
_INTERRUPTED, _TERMINATED = 130, 143


def cache_folder() -> Path:
    """The folder for what is no artifact: shared by all experiments of the project, deletable at any time."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".cache"


@dataclass
class Job:
    """What a stage is run with: its name, its item (a domain or a method; empty without), and the parameters."""

    stage: str
    item: str
    params: Params
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def domain(self) -> Domain:
        """The parameters of the domain that this item names."""
        return self.params.domain(self.item)

    @property
    def cache(self) -> Path:
        """The folder for what is no artifact."""
        return cache_folder()

    @cached_property
    def memo(self) -> Memo:
        """The store of finished work."""
        return Memo(self.cache / "memo")

    def progress(self, values: Sequence[T], title: str = "") -> Iterator[T]:
        """`values` one by one behind a progress bar."""
        yield from tqdm(values, desc=title or f"{self.stage}@{self.item}", unit="item", mininterval=0.5)

    def map(
        self,
        items: Iterable[Item],
        make_worker: Callable[[], Worker],
        *,
        settings: Any,
        weights: Path | None = None,
        batch: int = 1,
        total: int | None = None,
    ) -> Results:
        """Results of the worker on every item; computed where code, `settings`, `weights` or input bytes changed."""
        parts = [self.stage.encode(), code_of(f"stages.{self.stage}"), repr(settings).encode()]
        if weights is not None:
            parts.append(weights.read_bytes())
        engine = self.params.engine
        results = map_items(
            items,
            make_worker,
            memo=self.memo,
            fingerprint=digest(parts),
            engine=Engine(engine.kind, engine.workers, engine.address, engine.gpus),
            title=f"{self.stage}@{self.item}",
            batch=batch,
            total=total,
        )
        counts = {"items": len(results), "computed": results.computed, "set_aside": len(results.set_aside)}
        self.notes |= {name: self.notes.get(name, 0) + count for name, count in counts.items()}
        return results


def _done(module: ModuleType, job: Job) -> Job:
    """The job after `module.run`, which begins again where the store of finished work turns out to be damaged."""
    try:
        module.run(job)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.warning("the store of finished work in %s was damaged (%s) and begins anew", job.memo.folder, error)
        job.memo.discard()
        job = Job(job.stage, job.item, job.params)
        module.run(job)
    return job


@contextmanager
def _locked(job: Job) -> Iterator[None]:
    """Hold the lock of this stage's item; wait for an earlier run that is still ending.

    It is the workspace's own: experiments that run side by side each write to a workspace of their own.
    """
    path = Path(".cache") / "locks" / f"{job.stage}@{job.item}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(stage: str, item: str) -> None:
    """Run `stages.<stage>.run` on `item`."""
    job = Job(stage, item, params_module.load())
    try:
        module = importlib.import_module(f"stages.{stage}")
    except ModuleNotFoundError as error:
        if error.name != f"stages.{stage}":
            raise
        raise UserError(f"there is no stage '{stage}': see dvc.yaml, or `dvc stage list`") from None
    if int(os.environ.get("RANK", 0)):  # started by a launcher beside the process that holds the lock and writes
        module.run(job)
        return
    start = time.time()
    with _locked(job):
        job = _done(module, job)
    record = {"stage": stage, "item": item, "seconds": round(time.time() - start, 2), "at": int(start)} | job.notes
    with Path("runs.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 1 after a message."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.run", description="Run one stage of dvc.yaml.")
    parser.add_argument("stage", metavar="STAGE[@ITEM]", help="for example crop@source or pretrain@adgan")
    stage, _, item = parser.parse_args(argv).stage.partition("@")
    if "DVC_STAGE" in os.environ:
        _end_with_dvc()
    if "LOCAL_WORLD_SIZE" in os.environ:
        _end_with_launcher(stage, item)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    set_up()
    try:
        _check_encoding()
        run(stage, item)
    except UserError as error:
        _tell(stage, item, str(error))
        if "LOCAL_WORLD_SIZE" in os.environ:
            os._exit(1)  # at once: the launcher, which ends this process now, would be told of too
        return 1
    except KeyboardInterrupt:
        _tell(stage, item, "interrupted. What is finished is kept: run again")
        os._exit(_INTERRUPTED)  # at once: workers end with this process
    except Exception as error:
        message = storage_trouble(error, _written())
        if message is None:
            raise
        _tell(stage, item, message)
        os._exit(1)  # at once: HDF5 crashes when it closes a file that it could not write
    return 0


def _check_encoding() -> None:
    """UserError where names of files would not be what they are on other machines."""
    if (encoding := sys.getfilesystemencoding()) != "utf-8":
        raise UserError(f"names of files would be read as {encoding}: set PYTHONUTF8=1, or a locale of UTF-8")


def _tell(stage: str, item: str, message: str) -> None:
    print(f"\nerror in {stage}{'@' if item else ''}{item}: {message}", file=sys.stderr, flush=True)


def _written() -> list[Path]:
    """The folders that stages write to."""
    return [Path("data"), Path(os.environ.get("DVC_ROOT", ".")) / ".cache"]


def _end_with_dvc() -> None:
    """End this process when dvc is killed, now or later."""
    parent = os.getppid()
    # A process whose parent was killed before this line has another one by now, of another session.
    if os.getsid(parent) != os.getsid(0):
        os._exit(1)
    die_with_parent(parent)


def _end_with_launcher(stage: str, item: str) -> None:
    """End this process when the launcher is killed, and say so when the launcher ends it."""

    def end() -> None:
        _tell(
            stage,
            item,
            "the launcher ended this process, as it does when another is lost. What is finished is kept: run again",
        )
        os._exit(_TERMINATED)

    when_terminated(end)
    die_with_parent(os.getppid())


def _hush(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Show an error that nobody caught, unless storage gave it: HDF5 complains again when it closes the file."""
    if error is not None and storage_trouble(error, _written()) is None:
        sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    sys.excepthook = _hush
    sys.unraisablehook = lambda hidden: _hush(hidden.exc_type, hidden.exc_value, hidden.exc_traceback)
    sys.exit(main())
