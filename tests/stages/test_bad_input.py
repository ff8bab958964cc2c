"""What a user gets wrong ends in a message that names file, value and remedy, or is set aside with a reason."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import quarantine
from pipeline.pictures import encode_png
from pipeline.run import main
from tests.stages.conftest import Project


def picture(seed, size=(256, 176)):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


@pytest.fixture
def raw(tmp_path):
    """A folder of two persons with three poses each."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for index, name in enumerate(["a_1", "a_2", "a_3", "b_1", "b_2", "b_3"]):
        (folder / f"{name}.png").write_bytes(picture(index))
    return folder


@pytest.fixture
def project(tmp_path, raw):
    return Project(tmp_path / "project", **{"domains.source.raw": str(raw), "domains.source.ingest.source": "folder"})


def set_aside(project, stage):
    return dict(quarantine.read(project.path(stage, "source", "quarantine.csv")))


def names(project):
    return pd.read_parquet(project.path("ingest", "source", "catalog.parquet"))["id"].tolist()


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            "domains.source.crop.mode",
            "squeeze",
            ["domains.source.crop.mode", "'squeeze'", "columns, resize, pad, person"],
        ),
        ("domains.source.crop.width", 7, ["domains.source.crop.width", "7", "between 32 and 2048"]),
        ("domains.source.raw", "/nowhere/at/all", ["/nowhere/at/all", "does not exist", "domains.source.raw"]),
    ],
)
def test_a_wrong_parameter_is_named(project, path, value, parts):
    project.change(**{path: value})
    code, output = project.run_here("ingest@source", check=False)
    assert code == 1
    assert "Traceback" not in output
    for part in parts:
        assert part in output


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected sections such as `domains:`, found NoneType"),
        ("[1, 2]", "expected sections such as `domains:`, found list"),
        ("domains: [", "is not valid YAML"),
        ("domains:\n\tsource: 1", "is not valid YAML"),
        ("seed: 0\nseed: 1\n", "is not valid YAML"),
        ("seed: \0", "is not valid YAML"),
        ("seed: !!python/object/apply:os.mkdir [sprung]", "is not valid YAML"),
        ("methods: [adgan]\nadgan: {}\nseed: .nan\n", "seed"),
    ],
)
def test_a_file_of_parameters_that_is_none_is_named(tmp_path, monkeypatch, capsys, text, part):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(text)
    assert main(["ingest@source"]) == 1
    message = capsys.readouterr().err
    assert "params.yaml" in message
    assert part in message
    assert not (tmp_path / "sprung").exists()


def test_an_unknown_parameter_is_named(project):
    project.raw["domains"]["source"]["crop"]["mdoe"] = "pad"
    project.change()
    code, output = project.run_here("crop@source", check=False)
    assert code == 1
    assert "unknown key 'domains.source.crop.mdoe'; did you mean 'mode'?" in output


def test_an_unknown_stage_or_domain_is_named(project):
    code, output = project.run("crap@source", check=False)
    assert (code, "there is no stage 'crap'" in output) == (1, True)
    code, output = project.run("crop@sauce", check=False)
    assert (code, "no domain 'sauce'" in output) == (1, True)


def test_nothing_to_train_on_is_said_at_once(project, raw, caplog):
    """As with a download of the test pictures alone; the training would say so only hours later."""
    (raw / "test").mkdir()
    for path in list(raw.glob("*.png")):
        path.rename(raw / "test" / path.name)
    project.run_here("ingest@source")
    assert "no picture is left to train on: lists, folders or domains.source.ingest.val and test" in caplog.text


def test_an_empty_folder_is_named(project, tmp_path):
    (tmp_path / "empty").mkdir()
    project.change(**{"domains.source.raw": str(tmp_path / "empty")})
    code, output = project.run_here("ingest@source", check=False)
    assert code == 1
    assert "holds no pictures" in output
    assert "domains.source.raw" in output


def test_bad_pictures_are_set_aside_with_a_reason(project, raw):
    whole = picture(9)
    (raw / "c_truncated.png").write_bytes(whole[: len(whole) // 2])
    (raw / "c_empty.png").write_bytes(b"")
    (raw / "c_text.png").write_bytes(b"not a picture at all")
    (raw / "c_tiny.png").write_bytes(picture(9, (8, 8)))
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    (raw / "c_moving.gif").write_bytes(buffer.getvalue())
    project.change(**{"domains.source.ingest.max_quarantined": 0.5})
    project.run_here("ingest@source", "crop@source")
    bad = set_aside(project, "ingest")
    assert set(bad) == {"c_truncated", "c_empty", "c_text", "c_tiny", "c_moving"}
    assert "empty file" in bad["c_empty"]
    assert "8x8 is too small" in bad["c_tiny"]
    assert "animated" in bad["c_moving"]
    assert names(project) == ["a_1", "a_2", "a_3", "b_1", "b_2", "b_3"]


def test_too_many_bad_pictures_end_the_stage(project, raw):
    for index in range(6):
        (raw / f"c_{index}.png").write_bytes(b"broken")
    code, output = project.run_here("ingest@source", check=False)
    assert code == 1
    assert "6 of 12 were set aside, more than domains.source.ingest.max_quarantined: 0.2 allows" in output
    assert "c_0: " in output
    assert not project.path("ingest", "source", "catalog.parquet").exists()


def test_an_absent_picture_in_a_pair_list_is_set_aside(project, raw):
    rows = ["from,to", *(f"a_{i}.jpg,a_{j}.jpg" for i in (1, 2, 3) for j in (1, 2, 3) if i != j), "a_1.jpg,z_9.jpg"]
    (raw / "pairs.csv").write_text("\n".join(rows) + "\n")
    project.run_here("ingest@source")
    bad = set_aside(project, "ingest")
    ((name, reason),) = bad.items()
    assert "z_9" in name
    assert "pairs.csv" in reason
    assert len(pd.read_parquet(project.path("ingest", "source", "pairs.parquet"))) == 6


def test_a_label_map_of_another_size_is_set_aside(project, raw):
    (raw / "labels").mkdir()
    for name, size in (("a_1", (256, 176)), ("a_2", (128, 88))):
        (raw / "labels" / f"{name}.png").write_bytes(encode_png(np.zeros(size, np.uint8)))
    project.run_here("ingest@source")
    bad = set_aside(project, "ingest")
    assert list(bad) == ["a_2"]
    assert "88x128" in bad["a_2"]
    assert "176x256" in bad["a_2"]


def test_a_wrong_label_is_set_aside(project, raw):
    (raw / "labels").mkdir()
    (raw / "labels" / "b_2.png").write_bytes(encode_png(np.full((256, 176), 23, np.uint8)))
    project.run_here("ingest@source")
    assert "23" in set_aside(project, "ingest")["b_2"]


def test_missing_weights_are_named(project):
    project.run_here("ingest@source", "crop@source")
    project.change(**{"domains.source.keypoints.weights": "nowhere.safetensors"})
    code, output = project.run_here("keypoints@source", check=False)
    assert code == 1
    assert "domains.source.keypoints.weights" in output
    assert "nowhere.safetensors" in output


def test_pictures_of_another_size_do_not_fit_the_columns_rule(project, raw):
    (raw / "a_4.png").write_bytes(picture(5, (300, 200)))
    project.change(**{"domains.source.crop.mode": "columns"})
    project.run_here("ingest@source", "crop@source")
    assert "200x300" in set_aside(project, "crop")["a_4"]
