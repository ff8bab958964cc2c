"""One map over items: in this process, in several, or on a Ray cluster. The results do not depend on which.

A stage gives items (id and input bytes) and a worker; what was finished before comes from the memo. A worker is built
once per process, by calling `make_worker`, and is called with some items; it returns `Outputs` or `BadItem` for each.
What is finished goes to the memo at once, in whatever order: a killed run redoes the batch that each worker was at, and
one more where its answer was still on the way.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from tqdm import tqdm

from pipeline.crews import hire, share
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
    with closing(_spread(_batched(pending, batch), make_worker, engine)) as finished:
        for chunk, outcomes in finished:
            entries = {}
            for (item, key), outcome in zip(chunk, outcomes, strict=True):
                entries[key] = {_REASON: str(outcome).encode()} if isinstance(outcome, BadItem) else outcome
                _note(results, item.id, key, entries[key])
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


def _batched(pending: Iterable[_Pending], size: int) -> Iterator[_Chunk]:
    source = iter(pending)
    while chunk := list(islice(source, size)):
        yield chunk


def _spread(
    chunks: Iterable[_Chunk], make_worker: Callable[[], Worker], engine: Engine
) -> Generator[tuple[_Chunk, Sequence[Result]]]:
    """(chunk, results) as they are finished. Workers are started only when there is work for them."""
    source = iter(chunks)
    first = next(source, None)
    if first is None:
        return
    source = chain([first], source)
    if engine.kind == "inline":
        worker = make_worker()
        for chunk in source:
            yield chunk, worker([item for item, _ in chunk])
        return
    crew = hire(make_worker, engine)
    try:
        yield from share(source, crew, items=lambda chunk: [item for item, _ in chunk])
    finally:
        crew.close()
