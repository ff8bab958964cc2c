"""The workers that share the work of a stage: processes of this machine, or actors of a Ray cluster.

A worker that is lost (killed, out of memory, its machine gone) is replaced and its items are tried again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pipeline.errors import UserError
from pipeline.processes import die_with_parent, set_up

if TYPE_CHECKING:
    from pipeline.engine import Engine, Item, Result, Worker

log = logging.getLogger(__name__)

Chunk = TypeVar("Chunk")


class LostError(Exception):
    """A worker ended before it answered: killed, out of memory, its machine gone."""


class Crew(Protocol):
    """Workers in other processes. A handle stands for a chunk that was submitted to one of them."""

    def room(self) -> int:
        """How many chunks may be under way: two for each worker, so that none waits for its next."""

    def submit(self, items: Sequence[Item]) -> Any:
        """The handle of the answer."""

    def wait(self, handles: Iterable[Any]) -> Iterable[Any]:
        """Those of `handles` that are answered, one at least."""

    def result(self, handle: Any) -> Sequence[Result]:
        """The answer; LostError where there will be none."""

    def close(self) -> None:
        """End all workers."""


def share(
    chunks: Iterator[Chunk], crew: Crew, *, items: Callable[[Chunk], Sequence[Item]]
) -> Iterator[tuple[Chunk, Sequence[Result]]]:
    """(chunk, results) as they are finished; chunks whose worker was lost are tried again, one by one.

    UserError names the items of a chunk that loses its worker each time.
    """
    flight: dict[Any, Chunk] = {}
    lost: list[Chunk] = []
    while True:
        for chunk in islice(chunks, 0 if lost else max(0, crew.room() - len(flight))):
            flight[crew.submit(items(chunk))] = chunk
        if flight:
            for handle in crew.wait(flight):
                chunk = flight.pop(handle)
                try:
                    outcomes = crew.result(handle)
                except LostError:
                    lost.append(chunk)
                else:
                    yield chunk, outcomes
        elif lost:
            chunk = lost.pop()
            yield chunk, _alone(crew, items(chunk))
        else:
            return


def _alone(crew: Crew, items: Sequence[Item], tries: int = 2) -> Sequence[Result]:
    """The results of a chunk that shares the crew with no other, so that it is known who ends a worker."""
    names = ", ".join(item.id for item in items)
    for _ in range(tries):
        log.warning("a worker was lost; trying again: %s", names)
        handle = crew.submit(items)
        for done in crew.wait([handle]):
            try:
                return crew.result(done)
            except LostError:
                continue
    raise UserError(
        f"a worker process was lost {tries + 1} times while it worked on {names}. Most often memory ran out: lower "
        "engine.workers in params.yaml, or take these pictures out of the raw folder. What is finished is kept."
    )


def hire(make_worker: Callable[[], Worker], engine: Engine) -> Crew:
    """The crew that `engine` asks for; every worker of it calls `make_worker` once."""
    return _Actors(make_worker, engine) if engine.kind == "ray" else _Processes(make_worker, engine)


class _Processes:
    """Processes of this machine, spawned; a broken pool is replaced by a new one."""

    def __init__(self, make_worker: Callable[[], Worker], engine: Engine) -> None:
        self.workers = engine.workers or os.cpu_count() or 1
        self.start = (_start_worker, (make_worker, os.getpid()))
        self.pool = self._open()

    def _open(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.workers, get_context("spawn"), *self.start)

    def room(self) -> int:
        return 2 * self.workers

    def submit(self, items: Sequence[Item]) -> Any:
        # The first call starts the processes, deaf to Ctrl-C from their first line on: their parent tells of it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return self.pool.submit(_call_worker, items)
        except BrokenProcessPool:
            self.pool = self._open()
            return self.pool.submit(_call_worker, items)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def wait(self, handles: Iterable[Any]) -> Iterable[Any]:
        return wait_for(handles, return_when=FIRST_COMPLETED).done

    def result(self, handle: Any) -> Sequence[Result]:
        try:
            outcomes: Sequence[Result] = handle.result()
        except BrokenProcessPool as error:
            raise LostError from error
        return outcomes

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)


_make_worker: Callable[[], Worker] | None = None
_worker: Worker | None = None


def _start_worker(make_worker: Callable[[], Worker], parent: int) -> None:
    global _make_worker
    die_with_parent(parent)
    set_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _make_worker = make_worker


def _call_worker(items: Sequence[Item]) -> Sequence[Result]:
    # Built at the first call: what goes wrong then is told like any error of the worker's.
    global _worker
    if _worker is None:
        assert _make_worker is not None
        _worker = _make_worker()
    return _worker(items)


class _Actors:
    """Actors of a Ray cluster. One that has not come up yet, or never will, is given nothing to do."""

    def __init__(self, make_worker: Callable[[], Worker], engine: Engine) -> None:
        self.ray = _connect(engine)
        have, need = self.ray.cluster_resources(), {"CPU": 1.0} | ({"GPU": engine.gpus} if engine.gpus else {})
        places = min(int(have.get(name, 0) / share) for name, share in need.items())
        if not places:
            self.ray.shutdown()
            raise UserError(f"engine: a Ray actor needs {need}, and the cluster has {have}; change engine.gpus")
        self.actor = self.ray.remote(num_cpus=1, num_gpus=engine.gpus)(_Actor)
        self.make_worker = self.ray.put(make_worker)
        self.coming: dict[Any, Any] = {}
        self.load: dict[Any, int] = {}
        self.seats: dict[Any, Any] = {}
        for _ in range(min(engine.workers or places, places)):
            self._hire()

    def _hire(self) -> None:
        actor = self.actor.remote(self.make_worker)
        self.coming[actor.enter.remote(str(Path.cwd()))] = actor

    def room(self) -> int:
        while self.coming:
            came, _ = self.ray.wait(list(self.coming), timeout=0 if self.load else 30)
            if not came and self.load:
                break
            if not came:
                log.warning("waiting for a free place in the Ray cluster")
            for handle in came:
                actor = self.coming.pop(handle)
                self._answer(handle, actor)
                self.load[actor] = 0
        return 2 * len(self.load)

    def submit(self, items: Sequence[Item]) -> Any:
        self.room()
        actor = min(self.load, key=lambda actor: self.load[actor])
        handle = actor.call.remote(items)
        self.load[actor] += 1
        self.seats[handle] = actor
        return handle

    def wait(self, handles: Iterable[Any]) -> Iterable[Any]:
        done: list[Any] = self.ray.wait(list(handles))[0]
        return done

    def result(self, handle: Any) -> Sequence[Result]:
        actor = self.seats.pop(handle)
        try:
            outcomes: Sequence[Result] = self._answer(handle, actor)
        except LostError:
            if self.load.pop(actor, None) is not None:
                self._hire()
            raise
        self.load[actor] -= 1
        return outcomes

    def _answer(self, handle: Any, actor: Any) -> Any:
        """What the actor returned or raised; LostError when it is no more."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(handle)
        except errors.RayTaskError as error:
            raise error.cause from None
        except (errors.RayActorError, errors.OutOfMemoryError, errors.ObjectLostError, errors.NodeDiedError) as error:
            self.ray.kill(actor)
            raise LostError from error

    def close(self) -> None:
        self.ray.shutdown()


class _Actor:
    """What lives in a Ray worker process: the worker, built at its first call, in the project's folder."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        global _make_worker
        _make_worker = make_worker

    def enter(self, folder: str) -> None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UserError(f"a machine of the Ray cluster does not see {folder}: share it at the same path") from error

    def call(self, items: Sequence[Item]) -> Sequence[Result]:
        return _call_worker(items)


def _connect(engine: Engine) -> Any:
    """The module `ray`, connected to the cluster that `engine` names; UserError where that fails."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    try:
        import ray
    except ImportError:
        raise UserError("engine.kind: ray is not installed: `pip install -r requirements-ray.txt`") from None
    local: dict[str, Any] = (
        {} if engine.address else {"num_cpus": engine.workers or os.cpu_count(), "include_dashboard": False}
    )
    try:
        host, _, port = engine.address.removeprefix("ray://").rpartition(":")
        if host:  # Ray itself would wait for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(engine.address or "local", logging_level=logging.WARNING, log_to_driver=False, **local)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"engine.address: no Ray cluster answers at {engine.address!r}: {error}") from error
    return ray
