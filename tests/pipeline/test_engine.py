import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine import Engine, Item, PerItem, map_items
from pipeline.errors import BadItem
from pipeline.memo import Memo

ITEMS = [Item(f"i{n:02d}", (bytes([n]),)) for n in range(12)]


def double(item):
    value = item.inputs[0][0]
    if value == 5:
        raise BadItem("five is bad")
    return {"twice": bytes([2 * value])}


def make_worker():
    return PerItem(double)


INLINE = Engine("inline")


def work(memo, items=ITEMS, engine=INLINE, fingerprint=b"f", batch=1):
    return map_items(
        items, make_worker, memo=memo, fingerprint=fingerprint, engine=engine, title="t", batch=batch, total=len(items)
    )


def contents(results):
    return {key: results[key] for key in results.keys}, results.set_aside


@pytest.fixture
def memo(tmp_path):
    return Memo(tmp_path / "memo.sqlite")


def test_results_by_id_and_a_bad_item_is_set_aside(memo):
    results = work(memo)
    outputs, set_aside = contents(results)
    assert list(outputs) == [item.id for item in ITEMS if item.id != "i05"]
    assert outputs["i07"] == {"twice": bytes([14])}
    assert set_aside == [("i05", "five is bad")]
    assert results.computed == 12


@pytest.mark.parametrize("batch", [1, 5])
def test_processes_give_what_inline_gives(tmp_path, batch):
    inline = work(Memo(tmp_path / "a.sqlite"), batch=batch)
    spread = work(Memo(tmp_path / "b.sqlite"), engine=Engine("processes", 2), batch=batch)
    assert contents(inline) == contents(spread)


def test_finished_items_are_not_computed_again(memo):
    work(memo)
    assert work(memo).computed == 0
    more = [*ITEMS, Item("new", (b"\x20",))]
    assert work(memo, more).computed == 1
    assert work(memo, fingerprint=b"other").computed == 12
    assert work(memo).computed == 0


def test_a_damaged_entry_is_computed_again(memo):
    before = contents(work(memo))
    memo._db.execute("UPDATE outputs SET value = x'00' WHERE name = 'twice' AND rowid % 2")
    again = work(memo)
    assert contents(again) == before
    assert 0 < again.computed < 12


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    script = f"""
import time
from pathlib import Path
from pipeline.engine import *
from pipeline.memo import Memo
def slow(item):
    time.sleep(0.1)
    return {{"out": item.inputs[0]}}
items = [Item(str(n), (bytes([n]),)) for n in range(100)]
map_items(items, lambda: PerItem(slow), memo=Memo(Path({str(tmp_path / "m.sqlite")!r})), fingerprint=b"", engine=Engine(), title="t")
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    time.sleep(3)
    process.kill()
    process.wait()
    items = [Item(str(n), (bytes([n]),)) for n in range(100)]
    results = map_items(
        items,
        lambda: PerItem(lambda item: {"out": item.inputs[0]}),
        memo=Memo(tmp_path / "m.sqlite"),
        fingerprint=b"",
        engine=Engine(),
        title="t",
    )
    assert 0 < results.computed < 100
    assert {key: results[key]["out"] for key in results.keys} == {str(n): bytes([n]) for n in range(100)}


def is_running(pid):
    try:
        # A killed process stays listed as a zombie until somebody collects it.
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_end_with_their_parent(tmp_path):
    script = f"""
import os, time
from pathlib import Path
from pipeline.engine import *
from pipeline.memo import Memo
class Writes:
    def __call__(self, items):
        (Path({str(tmp_path)!r}) / f"pid{{os.getpid()}}").touch()
        time.sleep(60)
if __name__ == "__main__":
    items = [Item(str(n), (bytes([n]),)) for n in range(9)]
    map_items(items, Writes, memo=Memo(Path({str(tmp_path / "m.sqlite")!r})), fingerprint=b"", engine=Engine("processes", 2), title="t")
"""
    path = tmp_path / "main.py"
    path.write_text(script)
    process = subprocess.Popen([sys.executable, str(path)], stderr=subprocess.DEVNULL)
    for _ in range(200):
        time.sleep(0.1)
        pids = [int(file.name[3:]) for file in tmp_path.glob("pid*")]
        if len(pids) == 2:
            break
    assert len(pids) == 2
    process.kill()
    process.wait()
    time.sleep(0.5)
    assert not [pid for pid in pids if is_running(pid)]
