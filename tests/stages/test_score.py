"""`posewright score` on folders and strips of rendered blocks, against formulas written here."""

import json
from hashlib import sha256
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

from stages.commands import main


def figure(number, size=(60, 80)):
    dice = np.random.default_rng(number)
    width, height = size
    picture = np.full((height, width, 3), 230, np.uint8)
    left = int(dice.integers(5, 25))
    for top, bottom in ((8, 20), (20, 45), (45, 75)):
        picture[top:bottom, left : left + 25] = dice.integers(0, 256, 3)
    return picture


@pytest.fixture
def folders(tmp_path):
    """Two persons, two poses each; generated pictures named as PATN's tests name them."""
    names = ["0001_c1s1_000001_01", "0001_c2s1_000002_01", "0002_c1s1_000003_01", "0002_c2s1_000004_01"]
    (tmp_path / "real").mkdir()
    (tmp_path / "fake").mkdir()
    for number, name in enumerate(names):
        Image.fromarray(figure(number)).save(tmp_path / "real" / f"{name}.png")
    pairs = [(names[0], names[1]), (names[2], names[3])]
    for number, (start, end) in enumerate(pairs):
        Image.fromarray(figure(number + 10)).save(tmp_path / "fake" / f"{start}.png___{end}.png_vis.png")
    lines = ["from,to", *(f"{start}.jpg,{end}.jpg" for start, end in pairs), "lost.jpg,0001_c2s1_000002_01.jpg"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path


def scored(capsys, folder, *arguments):
    out = folder / "scores.json"
    assert main(["score", *map(str, arguments), "--no-people", "--out", str(out)]) == 0
    told = json.loads(out.read_text())
    return told["provenance"], {row["metric"]: row for row in told["scores"]}, capsys.readouterr()


def test_pairs_are_found_by_the_names_that_programs_give(folders, capsys):
    arguments = ("--generated", folders / "fake", "--targets", folders / "real", "--pairs", folders / "pairs.csv")
    told, rows, printed = scored(capsys, folders, *arguments)
    assert (told["pictures"], told["left_out"], told["size"]) == (2, 1, "60x80")
    assert "left out: lost.jpg,0001_c2s1_000002_01.jpg: there is no such picture" in printed.err
    wrong = [np.abs(figure(10 + n).astype(float) - figure(2 * n + 1)).mean() / 255 for n in range(2)]
    assert rows["l1"]["value"] == pytest.approx(np.mean(wrong))
    assert rows["l1"]["n"] == 2
    assert {"fd_lite0", "kd_lite0"} < rows.keys()
    assert "fid" not in rows


def test_the_copied_source_is_a_baseline(folders, capsys):
    arguments = ("--baseline", "copy_source", "--targets", folders / "real", "--pairs", folders / "pairs.csv")
    _, rows, _ = scored(capsys, folders, *arguments)
    wrong = [np.abs(figure(2 * n).astype(float) - figure(2 * n + 1)).mean() / 255 for n in range(2)]
    assert rows["l1"]["value"] == pytest.approx(np.mean(wrong))


@pytest.mark.parametrize(
    ("panels", "layout"),
    [
        ("source pose target pose generated", None),
        ("source target generated", None),
        ("generated target", "generated,target"),
    ],
)
def test_strips_are_cut_into_their_panels(tmp_path, capsys, panels, layout):
    numbers = {"source": 1, "pose": 7, "target": 2, "generated": 3}
    (tmp_path / "strips").mkdir()
    strip = np.concatenate([figure(numbers[name]) for name in panels.split()], axis=1)
    Image.fromarray(strip).save(tmp_path / "strips" / "a___b_vis.png")
    arguments = ["--strips", tmp_path / "strips", *(["--layout", layout] if layout else [])]
    told, rows, _ = scored(capsys, tmp_path, *arguments, "--protocol", "padded")
    wide = [np.pad(figure(n).astype(float), ((0, 0), (40, 40), (0, 0)), constant_values=255) for n in (3, 2)]
    assert rows["l1"]["value"] == pytest.approx(np.abs(wide[0] - wide[1]).mean() / 255)
    assert told["protocol"]["name"] == "padded"


def test_without_training_pictures_there_is_no_distance_to_them(folders, capsys):
    arguments = ["--generated", folders / "real", "--targets", folders / "real", "--protocol", "train_fid"]
    _, rows, _ = scored(capsys, folders, *arguments)
    assert "fd_lite0" not in rows
    assert rows["ssim"]["value"] == pytest.approx(1)
    _, rows, _ = scored(capsys, folders, *arguments, "--training", folders / "real")
    assert rows["fd_lite0"]["value"] == pytest.approx(0, abs=1e-3)


def test_every_row_says_what_it_depends_on(folders, capsys):
    arguments = ["--generated", folders / "real", "--targets", folders / "real", "--protocol", "train_fid"]
    (folders / "train").mkdir()
    Image.fromarray(figure(5)).save(folders / "train" / "a.png")
    Image.fromarray(figure(6, (70, 90))).save(folders / "train" / "b.png")
    told, rows, _ = scored(capsys, folders, *arguments, "--training", folders / "train")
    names = sorted(path.stem for path in (folders / "real").iterdir())
    for row in rows.values():
        assert row["protocol"] == "train_fid"
        assert row["settings"]["reference"] == "training"
        assert row["pictures"] == 4
        assert row["list_sha256"] == sha256("\n".join(names).encode()).hexdigest()
        assert row["libraries"]["torch"] == version("torch")
    assert rows["fd_lite0"]["reference_list_sha256"] == sha256(b"a\nb").hexdigest()
    assert len(rows["fd_lite0"]["network_sha256"]) == 64
    assert "224x224" in rows["fd_lite0"]["network"]
    assert rows["ssim"]["network"] == ""
    assert told["reference"] == {
        "of": "training",
        "pictures": 2,
        "size": "60x80, 70x90",
        "list_sha256": sha256(b"a\nb").hexdigest(),
    }
    assert "2 pictures are too few" in rows["fd_lite0"]["note"]


def test_pictures_of_several_sizes_are_one_set(folders, capsys):
    for folder in ("fake", "real"):
        for number in range(2):
            Image.fromarray(figure(number, (90, 100))).save(folders / folder / f"large{number}.png")
        Image.fromarray(figure(1)).save(folders / folder / "small.png")
    told, rows, printed = scored(capsys, folders, "--generated", folders / "fake", "--targets", folders / "real")
    assert (told["size"], told["pictures"]) == ("90x100, 60x80", 3)
    assert rows["fd_lite0"]["value"] == pytest.approx(0, abs=1e-3)
    assert "pictures of 90x100, 60x80" in printed.out


def test_white_columns_are_warned_of(tmp_path, capsys):
    (tmp_path / "padded").mkdir()
    picture = np.pad(figure(1, (176, 256)), ((0, 0), (40, 40), (0, 0)), constant_values=255)
    Image.fromarray(picture).save(tmp_path / "padded" / "a.png")
    arguments = ["--generated", tmp_path / "padded", "--targets", tmp_path / "padded"]
    _, _, printed = scored(capsys, tmp_path, *arguments)
    assert "warning: 1 of 1 pictures have 40 white columns on each side" in printed.err
    _, _, printed = scored(capsys, tmp_path, *arguments, "--protocol", "padded")
    assert "warning" not in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--targets", "real"], "either --generated DIR or --baseline"),
        (["--targets", "real", "--generated", "none"], "none: there is no such folder"),
        (["--targets", "real", "--baseline", "copy_source"], "a pair list (--pairs) must say what the source is"),
        (["--targets", "real", "--generated", "small"], "generated 30x40, its target 60x80: scale or crop"),
        (["--targets", "real", "--generated", "broken"], "broken/0001_c1s1_000001_01.png:"),
        (["--strips", "real"], "is no strip of 5 or 3 pictures; give --layout"),
        (["--strips", "real", "--layout", "a,b"], "name at least target and generated"),
        (["--targets", "real", "--generated", "real", "--inception", "no.pth"], "no.pth: there is no such file"),
        (["--targets", "real", "--generated", "fake"], "no picture was matched with a target"),
    ],
)
def test_what_cannot_be_scored_is_said(folders, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folders)
    for name in ("small", "broken"):
        (folders / name).mkdir()
    Image.fromarray(figure(0, (30, 40))).save("small/0001_c1s1_000001_01.png")
    (folders / "broken" / "0001_c1s1_000001_01.png").write_bytes(b"\x89PNG\r\n\x1a\n123")
    assert main(["score", *arguments, "--no-people"]) == 1
    assert message in capsys.readouterr().err
