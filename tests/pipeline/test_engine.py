import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from pipeline.engine import Engine, Item, PerItem, map_items
from pipeline.errors import BadItem, UserError
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


class Two:
    """A worker of two outputs; odd items have but one."""

    def __call__(self, items):
        return [{"out": item.inputs[0]} | ({} if item.inputs[0][0] % 2 else {"even": b"yes"}) for item in items]


def test_what_is_pruned_while_a_stage_runs_is_computed_again(memo):
    results = map_items(ITEMS, Two, memo=memo, fingerprint=b"f", engine=INLINE, title="t")
    Memo(memo.folder).prune(0)
    assert {name: content.read() for name, content in results.contents("out").items()} == {
        item.id: item.inputs[0] for item in ITEMS
    }
    Memo(memo.folder).prune(0)
    assert list(results.contents("even")) == [item.id for item in ITEMS[::2]]
    Memo(memo.folder).prune(0)
    assert set(results.values("out")) == {item.id for item in ITEMS}


COUNTING = """
import os, sys, time
from pathlib import Path
from pipeline.engine import Engine, Item, map_items
from pipeline.memo import Memo
class Counts:
    def __call__(self, items):
        with open("calls", "a") as file:
            file.write("".join(item.id + chr(10) for item in items))
        time.sleep(0.02)
        return [{"out": item.inputs[0]} for item in items]
if __name__ == "__main__":
    items = [Item(str(n), (bytes([n]),)) for n in range(200)]
    engine = Engine(sys.argv[1], 2)
    results = map_items(items, Counts, memo=Memo(Path("m.sqlite")), fingerprint=b"", engine=engine, title="t", batch=4)
    assert {key: results[key]["out"] for key in results.keys} == {item.id: item.inputs[0] for item in items}
"""


@pytest.mark.parametrize(("kind", "under_way"), [("inline", 1), ("processes", 2 * 2)])
def test_a_killed_run_redoes_what_was_under_way_at_most(kind, under_way, tmp_path):
    (tmp_path / "main.py").write_text(COUNTING)
    command = [sys.executable, str(tmp_path / "main.py"), kind]
    kills = 0
    for share in (0.2, 0.5, 0.8):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(calls(tmp_path)) < 200 * share:
            time.sleep(0.005)
        kills += process.poll() is None
        process.kill()
        process.wait()
        time.sleep(0.2)
    subprocess.run(command, cwd=tmp_path, stderr=subprocess.DEVNULL, check=True)
    times = Counter(calls(tmp_path))
    assert len(times) == 200
    assert kills == 3
    assert sum(times.values()) - 200 <= kills * 4 * under_way


def calls(folder):
    return (folder / "calls").read_text().split() if (folder / "calls").exists() else []


class Dies:
    """A worker that is killed by the item i03: always, or only the first time."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, items):
        if any(item.id == "i03" for item in items) and not (self.mark and self.mark.exists()):
            if self.mark:
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return PerItem(double)(items)


def lose_a_worker(memo, mark, engine):
    return map_items(
        ITEMS, partial(Dies, mark), memo=memo, fingerprint=b"f", engine=engine, title="t", batch=2, total=len(ITEMS)
    )


def test_a_lost_worker_is_replaced(tmp_path):
    results = lose_a_worker(Memo(tmp_path / "m.sqlite"), tmp_path / "died", Engine("processes", 2))
    assert contents(results) == contents(work(Memo(tmp_path / "inline.sqlite")))
    assert (tmp_path / "died").exists()


def test_an_item_that_always_loses_its_worker_is_named_and_the_others_are_kept(tmp_path):
    memo = Memo(tmp_path / "m.sqlite")
    with pytest.raises(UserError, match=r"lost 3 times while it worked on i02, i03\..*engine\.workers"):
        lose_a_worker(memo, None, Engine("processes", 1))
    assert work(memo, ITEMS[:2]).computed == 0


class Broken:
    def __init__(self):
        raise UserError("weights.safetensors is damaged")


def test_a_worker_that_cannot_be_built_says_why(memo):
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged"):
        map_items(ITEMS, Broken, memo=memo, fingerprint=b"f", engine=Engine("processes", 2), title="t")


def is_running(pid):
    try:
        # A killed process stays listed as a zombie until somebody collects it.
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("hears_ctrl_c")
def test_workers_say_nothing_of_ctrl_c(tmp_path):
    (tmp_path / "main.py").write_text(COUNTING)
    command = [sys.executable, str(tmp_path / "main.py"), "processes"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and len(started.read_text().split()) < 3:  # two workers, and Python's own tracker
        time.sleep(0.005)
    time.sleep(0.15)  # they load their modules
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode
    assert told.count("Traceback") == 1, told  # the parent's own


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
