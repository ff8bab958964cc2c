"""One map over items: in this process or in several. Order is kept, a bad item is set aside, the bytes are the same.

A stage gives items (id and input bytes) and a worker; what was finished before comes from the memo. A worker is built
once per process, by calling `make_worker`, and is called with some items; it returns `Outputs` or `BadItem` for each.
"""

import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import Any

from tqdm import tqdm

from pipeline.errors import BadItem
from pipeline.memo import Memo, Outputs, digest

_REASON = "set aside"


@dataclass(frozen=True)
class Item:
    """One unit of work: an id and the bytes that its result depends on."""

    id: str
    inputs: tuple[bytes, ...]


Result = Outputs | BadItem
Worker = Callable[[Sequence[Item]], Sequence[Result]]


@dataclass(frozen=True)
class Engine:
    """How work is spread: `inline`, or `processes` (`workers` of them, 0 = one per core)."""

    kind: str = "inline"
    workers: int = 0


@dataclass
class Results:
    """What came of the items: outputs by id, read from the memo on demand, and who was set aside and why."""

    memo: Memo
    keys: dict[str, bytes] = field(default_factory=dict)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    computed: int = 0

    def __getitem__(self, item_id: str) -> Outputs:
        outputs = self.memo.get(self.keys[item_id])
        if outputs is None:
            raise RuntimeError(f"the memo lost {item_id} while the stage ran; run it again")
        return outputs

    def __len__(self) -> int:
        return len(self.keys)


class PerItem:
    """A worker from a function of one item; BadItem raised by it sets the item aside."""

    def __init__(self, function: Callable[[Item], Outputs]) -> None:
        self.function = function

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """One result per item."""
        results: list[Result] = []
        for item in items:
            try:
                results.append(self.function(item))
            except BadItem as bad:
                results.append(bad)
        return results


def map_items(
    items: Iterable[Item],
    make_worker: Callable[[], Worker],
    *,
    memo: Memo,
    fingerprint: bytes,
    engine: Engine,
    title: str,
    batch: int = 1,
    total: int | None = None,
) -> Results:
    """Results of all `items`; only those that the memo does not know are computed, `batch` at a time."""
    results = Results(memo)
    bar = tqdm(total=total, desc=title, unit="item", mininterval=0.5, disable=total == 0)
    pending = _recall(items, results, fingerprint, bar)
    for chunk, outcomes in _spread(_batched(pending, batch), make_worker, engine):
        entries = {}
        for (item, key), outcome in zip(chunk, outcomes, strict=True):
            entries[key] = {_REASON: str(outcome).encode()} if isinstance(outcome, BadItem) else outcome
            _note(results, item.id, key, entries[key])
        memo.put(entries)
        results.computed += len(chunk)
        bar.update(len(chunk))
    bar.close()
    results.keys = dict(sorted(results.keys.items()))
    return results


_Pending = tuple[Item, bytes]


def _recall(items: Iterable[Item], results: Results, fingerprint: bytes, bar: "tqdm[Any]") -> Iterator[_Pending]:
    """The items that still have to be computed, with their keys; the others go straight to `results`."""
    for item in items:
        key = digest((fingerprint, *item.inputs))
        known = results.memo.get(key)
        if known is None:
            yield item, key
        else:
            _note(results, item.id, key, known)
            bar.update(1)


def _note(results: Results, item_id: str, key: bytes, outputs: Outputs) -> None:
    if _REASON in outputs:
        results.set_aside.append((item_id, outputs[_REASON].decode()))
    else:
        results.keys[item_id] = key


def _batched(pending: Iterable[_Pending], size: int) -> Iterator[list[_Pending]]:
    source = iter(pending)
    while chunk := list(islice(source, size)):
        yield chunk


def _spread(
    chunks: Iterable[list[_Pending]], make_worker: Callable[[], Worker], engine: Engine
) -> Iterator[tuple[list[_Pending], Sequence[Result]]]:
    """(chunk, results) in order. A pool is started only when there is work for it; few chunks are ever in flight."""
    workers = engine.workers or os.cpu_count() or 1
    if engine.kind == "inline" or workers == 1:
        worker = None
        for chunk in chunks:
            worker = worker or make_worker()
            yield chunk, worker([item for item, _ in chunk])
        return
    source = iter(chunks)
    first = next(source, None)
    if first is None:
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (make_worker, os.getpid())) as pool:
        flight: deque[tuple[list[_Pending], Future[Sequence[Result]]]] = deque()
        for chunk in _chain(first, source):
            flight.append((chunk, pool.submit(_call_worker, [item for item, _ in chunk])))
            if len(flight) > 2 * workers:
                done, future = flight.popleft()
                yield done, future.result()
        for done, future in flight:
            yield done, future.result()


def _chain(first: list[_Pending], rest: Iterator[list[_Pending]]) -> Iterator[list[_Pending]]:
    yield first
    yield from rest


_worker: Worker | None = None


def _start_worker(make_worker: Callable[[], Worker], parent: int) -> None:
    global _worker
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = make_worker()


def _call_worker(items: Sequence[Item]) -> Sequence[Result]:
    assert _worker is not None
    return _worker(items)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process with its parent, so that a killed run leaves no child that writes (Linux)."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)
