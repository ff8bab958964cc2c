import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import quarantine
from pipeline.imports import ROOT
from pipeline.memo import Memo
from pipeline.packed import Picture, write_pack
from pipeline.people import heatmaps, labels, skeleton
from pipeline.pictures import encode_png
from pipeline.shards import write_shards
from stages import artifacts, commands, views

NAMES = ("mage/idle", "mage/run", "rogue_sit")


def _picture(seed):
    rng = np.random.default_rng(seed)
    joints = np.column_stack([rng.uniform(20, 150, 18), rng.uniform(20, 230, 18), np.full(18, 0.9)]).astype(np.float32)
    joints[skeleton.NOSE] = skeleton.MISSING
    parsed = np.zeros((256, 176), np.uint8)
    parsed[40:200, 50:120] = labels.UPPER_CLOTHES
    return Picture(
        name=NAMES[seed],
        person=NAMES[seed].split("/")[0],
        image=np.full((256, 176, 3), (200, 60 + 40 * seed, 90), np.uint8),
        keypoints=joints,
        heatmaps=heatmaps.to_uint8(heatmaps.render(joints, width=176, height=256)),
        parsing=parsed,
        mask=(parsed > 0).astype(np.uint8),
        edges=np.where(parsed > 0, 255, 40).astype(np.uint8),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "params.yaml", folder)
    pictures = [_picture(seed) for seed in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        place = artifacts.artifact
        for stage, kind, data in (
            ("crop", "images", {p.name: encode_png(p.image) for p in pictures}),
            ("crop", "labels", {}),
            ("parsing", "labels", {p.name: labels.to_png(p.parsing) for p in pictures}),
            ("edges", "edges", {p.name: encode_png(p.edges) for p in pictures}),
        ):
            write_shards(place(stage, "source", kind), data, shards=2, suffix=".png")
        artifacts.write_table(place("crop", "source", "annotation.parquet"), pd.DataFrame({"id": [], "keypoints": []}))
        known = {p.name: p.keypoints for p in pictures}
        artifacts.write_keypoints(place("keypoints", "source", "keypoints.parquet"), known)
        quarantine.write(place("ingest", "source", "quarantine.csv"), [("torn.jpg", "not a readable picture")])
        write_pack(
            artifacts.pack("source"),
            pictures,
            count=3,
            pairs={"train": np.array([(0, 1), (1, 0)], np.int32)},
            size=(176, 256),
            sigma_px=6.0,
            source="folder",
        )
    return folder


@pytest.fixture
def project(made, monkeypatch):
    monkeypatch.chdir(made)
    yield made
    for path in made.glob("*.png"):
        path.unlink()


def inspect(*args):
    return commands.main(["inspect", *args])


@pytest.mark.parametrize("stage", ["crop", "keypoints", "parsing", "edges", "pack"])
def test_inspect_writes_the_same_sheet_every_time(project, capsys, stage):
    sheets = []
    for _ in range(2):
        assert inspect(stage, "--domain", "source", "--item", "mage/run") == 0
        name = f"{stage}_source_mage_run.png"
        assert capsys.readouterr().out == f"{name}\n"
        sheets.append((project / name).read_bytes())
    assert sheets[0] == sheets[1]
    # The large picture stands where the sheet begins, in the colour of the picture that was asked for.
    with Image.open(project / name) as sheet:
        assert (np.asarray(sheet)[130:300, 60:90] == (200, 100, 90)).all()


def test_each_stage_shows_what_it_has(project):
    def captions(stage):
        view = views.read_view(stage, "source", "rogue_sit", sigma_px=6.0)
        return [[tile.caption.split(" ")[0] for tile in part.tiles] for part in views.make_sections(view)]

    assert captions("crop") == [["picture"]]
    assert captions("parsing") == [["picture", "label", "label"]]
    assert captions("edges") == [["picture", "edges"]]
    assert [len(part) for part in captions("keypoints")] == [2, 18]
    assert [len(part) for part in captions("pack")] == [6, 18]


def test_the_pack_is_shown_as_it_is_stored(project):
    expected = _picture(1)
    view = views.read_view("pack", "source", "mage/run", sigma_px=6.0)
    for name in ("image", "heatmaps", "edges", "mask"):
        assert np.array_equal(getattr(view, name), getattr(expected, name))
    assert np.array_equal(view.labels, expected.parsing)
    assert view.note == " · person mage · in pairs: 2 train, 0 val, 0 test"
    assert np.array_equal(views.read_view("keypoints", "source", "mage/run", sigma_px=6.0).heatmaps, expected.heatmaps)


@pytest.mark.parametrize("given", ["rogue_sit", "rogue", "rogue_sit.png"])
def test_a_name_may_be_shortened(project, given):
    assert views.read_view("pack", "source", given, sigma_px=6.0).name == "rogue_sit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pack", "--domain", "source", "--item", "mage"], "2 names begin so: mage/idle, mage/run; give more of it"),
        (["pack", "--domain", "source", "--item", "mage/rum"], "did you mean mage/run"),
        (["pack", "--domain", "source", "--item", "zzz"], "it has 3: mage/idle, mage/run, rogue_sit"),
        (["edges", "--domain", "source", "--item", "torn"], "ingest@source set this picture aside: not a readable"),
        (
            ["pack", "--domain", "target", "--item", "a"],
            "data/pack/target.h5 is not there yet: `dvc repro pack@target`",
        ),
        (["crop", "--domain", "target", "--item", "a"], "`dvc repro crop@target` makes it"),
        (["crop", "--domain", "nowhere", "--item", "a"], "there is no domain 'nowhere'"),
        (["crop", "--domain", "source", "--item", "rogue_sit", "--out", "a.jpg"], "ends in .png"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(project, capsys, arguments, message):
    assert inspect(*arguments) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("posewright inspect: ")
    assert not list(project.glob("*.png"))


def test_elsewhere_it_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert inspect("pack", "--domain", "source", "--item", "a") == 1
    assert "run from the project's root" in capsys.readouterr().err


def test_out_may_lie_in_a_new_folder(project, tmp_path):
    out = tmp_path / "new" / "sheet.PNG"
    assert inspect("crop", "--domain", "source", "--item", "rogue", "--out", str(out)) == 0
    assert out.is_file()


@pytest.mark.parametrize("name", sorted(commands.find_commands()))
def test_every_command_teaches_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        commands.main([name, "--help"])
    assert stopped.value.code == 0
    assert f"posewright {name} " in capsys.readouterr().out.split("Examples:")[1]


def test_a_wrong_call_shows_what_there_is(capsys):
    with pytest.raises(SystemExit) as stopped:
        commands.main(["inspcet"])
    assert stopped.value.code == 2
    assert "inspect" in capsys.readouterr().err


def test_the_command_answers_without_loading_libraries():
    code = (
        "import sys; from stages import commands; commands.make_parser();"
        "sys.exit(bool({'torch', 'numpy', 'pandas', 'h5py', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_trainings_that_nobody_went_on_with_are_pruned_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    memo = Memo(Path(".cache/memo"))
    memo.put({b"k": {"a": b"1"}})
    for name, days in (("oldest", 3), ("older", 2), ("running", 0)):
        checkpoint = Path(".cache/runs", name, "step-000004.pt")
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_bytes(bytes(10**6))
        for path in (checkpoint, checkpoint.parent):
            os.utime(path, (time.time() - days * 86_400 - 60,) * 2)
    limit = memo.size() + 2_500_000
    for size, left, kept in ((limit, ["older", "running"], b"1"), (0, ["running"], None)):
        assert commands.main(["cache", "--prune", "--max-size", str(size)]) == 0
        assert sorted(path.name for path in Path(".cache/runs").iterdir()) == left
        assert memo.get(b"k") == (kept and {"a": kept})
        assert f"{len(left)}.0 MB of unfinished trainings" in capsys.readouterr().out


def test_a_full_disk_is_told_without_a_traceback(made, monkeypatch, capsys):
    monkeypatch.chdir(made)

    def refuse(args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "found.png")

    monkeypatch.setattr(commands.find_commands()["cache"], "run", refuse)
    assert commands.main(["cache"]) == 1
    assert "posewright cache: found.png: No space left on device. Free some space there" in capsys.readouterr().err
