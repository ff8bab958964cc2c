from pathlib import Path

import pytest

from models.detectors import render, settings

SHIPPED = settings.HERE / "params.yaml"


def altered(folder: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text()
    assert old in text
    path = folder / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_shipped_parameters_are_read_and_train_on_no_held_out_seed():
    params = settings.read()
    assert params.train_pose.steps > 0
    assert {kind for kind in params.train_pose.mix} <= set(params.strength)
    assert {c.seed for c in params.train.values()}.isdisjoint(c.seed for c in params.tests.values())


def test_a_rate_in_scientific_notation_is_a_number(tmp_path: Path):
    path = altered(tmp_path, "learning_rate: 0.0015", "learning_rate: 15e-04")
    assert settings.read(path).train_pose.learning_rate == 0.0015


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  frozen_blocks: 2", "  frozen_block: 2", "train_pose.*frozen_block"),
        (
            "people: 10, poses: 6, seed: 9301",
            "persons: 10, poses: 6, seed: 9301",
            r"render\.held_out\.natural.*persons",
        ),
        ("photograph: {scale", "photograph: {size: 3, scale", r"augment\.photograph.*size"),
    ],
)
def test_an_unknown_key_is_named(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(ValueError, match=message):
        settings.read(altered(tmp_path, old, new))


def test_photographs_are_null_a_folder_or_several(tmp_path: Path):
    one = settings.read(altered(tmp_path, "photographs: null", "photographs: mine"))
    assert one.photographs == [tmp_path / "mine"]
    two = settings.read(altered(tmp_path, "photographs: null", "photographs: [mine, ../yours]"))
    assert two.photographs == [tmp_path / "mine", tmp_path / ".." / "yours"]


def test_a_cast_is_numbered_by_person_and_pose_and_keeps_its_looks():
    specs = render.specifications(settings.Cast("toon", people=2, poses=3, seed=5, variety=0.7))
    assert len({spec.id for spec in specs}) == 6
    assert {spec.style for spec in specs} == {"toon"}
    looks = {(spec.person, spec.hair, spec.face, spec.head_size) for spec in specs}
    assert len(looks) == 2
    with pytest.raises(ValueError, match="style 'cubist' is not"):
        render.specifications(settings.Cast("cubist", 1, 1, 1))


@pytest.mark.slow
def test_pictures_do_not_depend_on_the_number_of_workers():
    cast = settings.Cast("natural", people=2, poses=1, seed=5)
    one, two = (render.render_cast(cast, name="natural", workers=workers) for workers in (1, 2))
    assert (one.images == two.images).all()
    assert one.names == ["natural/p000_0", "natural/p001_0"]
