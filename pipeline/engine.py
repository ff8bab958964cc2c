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
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Any

from tqdm import tqdm

from pipeline.content import Content, digest
from pipeline.errors import BadItem, UserError
from pipeline.memo import REASON, Memo, Outputs

_ASKED_AT_ONCE = 1000


@dataclass(frozen=True)
class Item:
    """One unit of work: an id and what its result depends on, bytes at hand or contents that are read when needed."""

    id: str
    sources: tuple[bytes | Content, ...]

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """The bytes."""
        return tuple(source.read() if isinstance(source, Content) else source for source in self.sources)

    def key(self, fingerprint: bytes) -> bytes:
        """What the memo knows the result under."""
        return digest((fingerprint, *(Content.of(source).digest for source in self.sources)))


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
    make_worker: Callable[[], Worker]
    keys: dict[str, bytes] = field(default_factory=dict)
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    computed: int = 0
    items: dict[str, Item] = field(default_factory=dict)

    def __getitem__(self, item_id: str) -> Outputs:
        return self.memo.get(self.keys[item_id]) or self._again(item_id)

    def __len__(self) -> int:
        return len(self.keys)

    def values(self, name: str) -> dict[str, bytes]:
        """The output `name` of every item that has one."""
        found = self.memo.values(self.keys.values(), name)
        lost = [item_id for item_id, key in self.keys.items() if key not in found]
        again = {item_id: self[item_id] for item_id in lost}
        values = {item_id: found.get(key) or again[item_id].get(name) for item_id, key in self.keys.items()}
        return {item_id: value for item_id, value in values.items() if value is not None}

    def contents(self, name: str) -> dict[str, Content]:
        """The output `name` of every item that has one, not read before it is needed."""
        known = self.memo.digests(self.keys.values(), name)
        return {
            item_id: Content(known[key], partial(self._value, item_id, name), item_id)
            for item_id, key in self.keys.items()
            if key in known
        }

    def _value(self, item_id: str, name: str) -> bytes:
        key = self.keys[item_id]
        found = self.memo.values([key], name)
        return found[key] if key in found else self._again(item_id)[name]

    def _again(self, item_id: str) -> Outputs:
        """Compute once more what the memo has lost or damaged."""
        (outcome,) = self.make_worker()([self.items[item_id]])
        if isinstance(outcome, BadItem):
            raise UserError(f"{item_id}: {outcome}, though it was good before: start again")
        self.memo.put({self.keys[item_id]: outcome})
        self.computed += 1
        return outcome


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
    results = Results(memo, make_worker)
    bar = tqdm(total=total, desc=title, unit="item", mininterval=0.5, disable=total == 0)
    pending = _recall(items, results, fingerprint, bar)
    for chunk, outcomes in _spread(_batched(pending, batch), make_worker, engine):
        entries = {}
        for (item, key), outcome in zip(chunk, outcomes, strict=True):
            reason = str(outcome) if isinstance(outcome, BadItem) else None
            entries[key] = {REASON: str(outcome).encode()} if isinstance(outcome, BadItem) else outcome
            _note(results, item, key, reason)
        memo.put(entries)
        results.computed += len(chunk)
        bar.update(len(chunk))
    bar.close()
    results.keys = dict(sorted(results.keys.items()))
    return results


_Pending = tuple[Item, bytes]


def _recall(items: Iterable[Item], results: Results, fingerprint: bytes, bar: "tqdm[Any]") -> Iterator[_Pending]:
    """The items that still have to be computed, with their keys; the others go straight to `results`."""
    source = iter(items)
    while some := list(islice(source, _ASKED_AT_ONCE)):
        keys = [item.key(fingerprint) for item in some]
        known = results.memo.outcomes(keys)
        for item, key in zip(some, keys, strict=True):
            if key in known:
                _note(results, item, key, known[key])
        bar.update(sum(key in known for key in keys))
        yield from ((item, key) for item, key in zip(some, keys, strict=True) if key not in known)


def _note(results: Results, item: Item, key: bytes, reason: str | None) -> None:
    if reason is not None:
        results.set_aside.append((item.id, reason))
    else:
        results.keys[item.id] = key
        results.items[item.id] = item


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
