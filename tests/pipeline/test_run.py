import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from pipeline import imports
from pipeline.imports import ROOT
from pipeline.run import main
from tests.stages.conftest import Project


def test_what_a_run_took_is_noted(tmp_path):
    project = Project(tmp_path / "project", **{"domains.source.figures.people": 1})
    project.run("figures@source")
    record = json.loads((project.folder / "runs.jsonl").read_text())
    assert (record["stage"], record["item"], record["items"], record["computed"]) == ("figures", "source", 2, 2)
    assert record["seconds"] > 0


def test_a_second_run_of_one_item_waits_for_the_first(tmp_path):
    project = Project(tmp_path / "project", **{"domains.source.figures.people": 1})
    lock = project.folder / ".cache" / "locks" / "figures@source.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = project.start("figures@source")
        time.sleep(4)
        assert process.poll() is None
        assert not project.path("figures", "source", "truth.parquet").exists()
    process.communicate()
    assert process.returncode == 0
    assert project.path("figures", "source", "truth.parquet").exists()


def test_help_says_what_it_takes(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    assert "crop@source" in capsys.readouterr().out


def test_outside_of_a_project_the_file_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["crop@source"]) == 1
    assert "params.yaml is missing" in capsys.readouterr().err


def test_a_changed_module_changes_the_fingerprint_and_a_drawing_does_not(tmp_path, monkeypatch):
    for room in imports.ROOMS:
        (tmp_path / room).mkdir()
    (tmp_path / "stages" / "some.py").write_text("from pipeline import thing\nfrom stages import sheets\n")
    (tmp_path / "stages" / "sheets.py").write_text("COLOUR = 1\n")
    (tmp_path / "pipeline" / "thing.py").write_text("X = 1\n")
    (tmp_path / "pipeline" / "engine.py").write_text("")
    monkeypatch.setattr(imports, "ROOT", tmp_path)

    def code():
        for function in (imports.file_of, imports.imports_of, imports.modules_of, imports.code_of):
            function.cache_clear()
        return imports.code_of("stages.some")

    first = code()
    (tmp_path / "stages" / "sheets.py").write_text("COLOUR = 2\n")
    assert code() == first
    (tmp_path / "pipeline" / "thing.py").write_text("X = 2\n")
    assert code() != first
    monkeypatch.undo()
    for function in (imports.file_of, imports.imports_of, imports.modules_of, imports.code_of):
        function.cache_clear()


def test_a_locale_that_would_change_names_is_refused(tmp_path):
    env = os.environ | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-m", "pipeline.run", "edges@source"]
    process = subprocess.run(call, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (process.returncode, "Traceback" in process.stderr) == (1, False)
    assert "error in edges@source: names of files would be read as ascii: set PYTHONUTF8=1" in process.stderr


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("kind", ["inline", "processes"])
def test_ctrl_c_is_told_and_the_next_run_goes_on(kind, tmp_path):
    project = Project(tmp_path, **{"engine.kind": kind, "engine.workers": 2, "domains.source.figures.people": 3})
    process = project.start("figures@source")
    seen = ""
    while not re.search(r" [1-5]/6 ", seen) and process.poll() is None:
        seen += process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate()
    assert process.returncode == 130, seen + rest
    assert "error in figures@source: interrupted. What is finished is kept: run again" in rest
    assert "Traceback" not in seen + rest
    project.run("figures@source")
    record = json.loads((tmp_path / "runs.jsonl").read_text())
    assert record["items"] == 6
    assert record["computed"] < 6


def test_a_store_that_turns_out_damaged_begins_anew(tmp_path):
    project = Project(tmp_path, **{"domains.source.figures.people": 1})
    project.run("figures@source")
    before = project.files("figures")
    shutil.rmtree(project.path("figures"))
    index = tmp_path / ".cache" / "memo" / "index.sqlite"
    with contextlib.closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (first,) = database.execute("SELECT min(rootpage) FROM sqlite_master WHERE rootpage > 1").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = index.read_bytes()
    index.write_bytes(data[: size * (first - 1)] + b"?" * (len(data) - size * (first - 1)))
    _, output = project.run("figures@source")
    assert "was damaged" in output
    assert project.files("figures") == before
    assert json.loads((tmp_path / "runs.jsonl").read_text().splitlines()[-1])["computed"] == 2
