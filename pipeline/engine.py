"""One map over items: in this process, in several, or on a Ray cluster. The results do not depend on which.

A stage gives items (id and input bytes) and a worker; what was finished before comes from the memo. A worker is built
once per process, by calling `make_worker`, and is called with some items; it returns `Outputs` or `BadItem` for each.
What is finished goes to the memo at once, in whatever order: a killed run redoes the batch that each worker was at, and
one more where its answer was still on the way.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any

from tqdm import tqdm

from pipeline.content import Content, digest
from pipeline.crews import hire, share
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
    """How work is spread: `inline`, over `processes` of this machine, or over the actors of a `ray` cluster.

    `workers` of them; 0 is one per core, with Ray as many as the cluster has room for. The cluster is the one that runs
    at `address`, or a local one is started; each actor takes one core and `gpus` of a GPU (0.5: two share one).
    """

    kind: str = "inline"
    workers: int = 0
    address: str = ""
    gpus: float = 0.0


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
        known = self.memo.digests(self.keys.values())
        for item_id, key in self.keys.items():
            if key not in known:  # pruned meanwhile by another process
                known[key] = {output: digest([value]) for output, value in self._again(item_id).items()}
        return {
            item_id: Content(known[key][name], partial(self._value, item_id, name), item_id)
            for item_id, key in self.keys.items()
            if name in known[key]
        }

    def _value(self, item_id: str, name: str) -> bytes:
        key = self.keys[item_id]
        found = self.memo.values([key], name)
        return found[key] if key in found else self._again(item_id)[name]

    @cached_property
    def _worker(self) -> Worker:
        return self.make_worker()

    def _again(self, item_id: str) -> Outputs:
        """Compute once more what the memo has lost or damaged."""
        (outcome,) = self._worker([self.items[item_id]])
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
    with closing(_spread(_batched(pending, batch), make_worker, engine)) as finished:
        for chunk, outcomes in finished:
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
    results.set_aside.sort()
    return results


_Pending = tuple[Item, bytes]
_Chunk = list[_Pending]


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


def _batched(pending: Iterable[_Pending], size: int) -> Iterator[_Chunk]:
    source = iter(pending)
    while chunk := list(islice(source, size)):
        yield chunk


def _spread(
    chunks: Iterable[_Chunk], make_worker: Callable[[], Worker], engine: Engine
) -> Generator[tuple[_Chunk, Sequence[Result]]]:
    """(chunk, results) as they are finished. Workers are started only when there is work for them."""
    source = iter(chunks)
    first = list(islice(source, 2))
    source = chain(first, source)
    # For one chunk a worker of one's own is there sooner than any crew.
    if engine.kind == "inline" or (engine.kind == "processes" and len(first) < 2):
        worker = make_worker() if first else None
        for chunk in source:
            assert worker is not None
            yield chunk, worker([item for item, _ in chunk])
        return
    if not first:
        return
    crew = hire(make_worker, engine)
    try:
        yield from share(source, crew, items=lambda chunk: [item for item, _ in chunk])
    finally:
        crew.close()
