import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpifpaf
import pytest
import torch

from models.detectors import posenet, storage, train_pose
from models.detectors.pose import Decoding, Person, PoseDetector, choose_person, merge_looks
from pipeline.people import boxes, skeleton


def same(left: list[list[Person]], right: list[list[Person]]) -> bool:
    return len(left) == len(right) and all(
        len(a) == len(b)
        and all(
            np.array_equal(p.joints, q.joints) and (p.score, p.box) == (q.score, q.box)
            for p, q in zip(a, b, strict=True)
        )
        for a, b in zip(left, right, strict=True)
    )


def test_unseen_rendered_people_are_found(detector, unseen):
    people = detector.detect(unseen.images)
    assert all(found for found in people)
    found = np.stack([found[0].joints for found in people])
    assert boxes.pckh(found, np.stack(unseen.seen)) >= 0.88


def test_same_input_same_output_and_company_does_not_matter(detector, unseen):
    together = detector.detect(unseen.images)
    assert same(together, detector.detect(unseen.images))
    alone = [detector.detect([image])[0] for image in unseen.images]
    assert same(together, alone)
    # Nine pictures need a second, padded batch; another size among them makes a group of its own.
    mixed = detector.detect([unseen.images[0][:200], *unseen.images[::-1], *unseen.images[:2]])
    assert same(mixed[1:7], together[::-1])


def test_joints_are_on_the_grid_inside_the_picture_and_in_the_box(detector, unseen):
    for found, image in zip(detector.detect(unseen.images), unseen.images, strict=True):
        joints = found[0].joints
        there = skeleton.is_present(joints)
        assert joints.shape == (18, 3)
        assert joints.dtype == np.float32
        assert np.array_equal(joints[~there], np.tile(np.float32(skeleton.MISSING), ((~there).sum(), 1)))
        assert np.array_equal(joints[there, :2] * 64, np.round(joints[there, :2] * 64))
        x0, y0, x1, y1 = found[0].box
        assert 0 <= x0 < x1 <= image.shape[1] - 1
        assert 0 <= y0 < y1 <= image.shape[0] - 1
        assert (joints[there, 0] >= x0 - 1).all()
        assert (joints[there, 1] <= y1 + 1).all()


def test_a_picture_twice_as_large_gives_joints_twice_as_far(detector, unseen):
    image = unseen.images[0]
    small = detector.detect([image])[0][0].joints
    large = detector.detect([image.repeat(2, axis=0).repeat(2, axis=1)])[0][0].joints
    both = skeleton.is_present(small) & skeleton.is_present(large)
    assert both.sum() >= 12
    # Enlarged by repetition and made small again, the picture is a little softer.
    assert np.median(np.abs(large[both, :2] - (small[both, :2] * 2 + 0.5))) < 1.5


@pytest.mark.parametrize("level", [0, 128, 255])
def test_nobody_in_an_empty_picture(detector, level):
    assert detector.detect([np.full((256, 176, 3), level, np.uint8)]) == [[]]


def test_no_pictures_no_people(detector):
    assert detector.detect([]) == []


def test_settings_of_openpifpaf_are_left_alone(detector, unseen):
    cifcaf = torch.classes.openpifpaf_decoder.CifCaf

    def state() -> tuple[object, ...]:
        factory, predictor = openpifpaf.network.Factory, openpifpaf.Predictor
        return (
            torch.get_num_threads(),
            cifcaf.get_keypoint_threshold(),
            openpifpaf.decoder.utils.CifSeeds.get_threshold(),
            openpifpaf.decoder.utils.nms.Keypoints.get_instance_threshold(),
            (factory.base_name, factory.checkpoint, factory.from_checkpoint),
            (predictor.batch_size, predictor.long_edge, predictor.device),
        )

    before = state()
    strict = PoseDetector(decoding=Decoding(keypoint_threshold=0.9))
    few = strict.detect(unseen.images[:1])
    assert state() == before
    # Two detectors side by side keep their own thresholds.
    many = detector.detect(unseen.images[:1])
    assert sum(skeleton.is_present(p.joints).sum() for p in few[0]) < skeleton.is_present(many[0][0].joints).sum()


def test_a_pickle_needs_its_hash_listed(tmp_path: Path, unseen, detector):
    weights, description = storage.read(Path(posenet.__file__).parent / "weights" / "pose.safetensors")
    network = posenet.build(description)
    network.load_state_dict(weights)
    path = tmp_path / "network.pkl"
    torch.save({"model": network, "epoch": 3}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=rf"network\.pkl.*{digest}.*list it"):
        PoseDetector(path, trusted={"0" * 64})
    trusted = PoseDetector(path, trusted={digest})
    assert same(trusted.detect(unseen.images[:1]), detector.detect(unseen.images[:1]))


class Oracle(torch.nn.Module):
    """Answers with the fields of the training targets, in the form in which openpifpaf's heads give theirs."""

    def __init__(self, network: torch.nn.Module, targets: tuple[torch.Tensor, ...]) -> None:
        super().__init__()
        self.network, self.targets = network, targets
        self.head_metas, self.head_nets = network.head_metas, network.head_nets

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.as_fields(target).expand(len(images), -1, -1, -1, -1) for target in self.targets)

    @staticmethod
    def as_fields(target: torch.Tensor) -> torch.Tensor:
        """(F, 1 + 2 V + V + S, h, w) targets to (F, 2 + 2 V + S, h, w): a spread first, places instead of offsets."""
        vectors = (target.shape[1] - 1) // 4
        cells = torch.stack(torch.meshgrid(*(torch.arange(n) for n in target.shape[2:]), indexing="ij")).flip(0).float()
        places = target[:, 1 : 1 + 2 * vectors] + cells.repeat(vectors, 1, 1)
        fields = torch.cat([target[:, :1] * 0, target[:, :1], places, target[:, 1 + 3 * vectors :]], dim=1)
        return torch.nan_to_num(fields, nan=0.0)


def test_training_targets_decode_to_the_joints_they_were_made_of(tmp_path: Path, unseen):
    network = posenet.build({"base": posenet.NAME, "width": 8})
    joints = unseen.figures[0].joints
    _, *targets = train_pose.Encode(network)(unseen.images[0], joints, unseen.figures[0].labels)
    path = tmp_path / "oracle.pkl"
    torch.save({"model": Oracle(network, tuple(targets)), "epoch": 0}, path)
    oracle = PoseDetector(path, trusted={hashlib.sha256(path.read_bytes()).hexdigest()})
    (people,) = oracle.detect(unseen.images[:1])
    assert len(people) == 1
    assert np.array_equal(skeleton.is_present(people[0].joints), skeleton.is_present(joints))
    assert np.abs(people[0].joints[:, :2] - joints[:, :2]).max() < 0.5


def test_a_missing_or_foreign_weight_file_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"absent\.safetensors: no such weight file"):
        PoseDetector(tmp_path / "absent.safetensors")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"not weights")
    with pytest.raises(ValueError, match=r"foreign\.safetensors: not a file of weights"):
        PoseDetector(foreign)
    other = tmp_path / "other.safetensors"
    storage.save(other, {"a": torch.zeros(2)}, {"base": posenet.NAME, "width": posenet.WIDTH})
    with pytest.raises(ValueError, match=r"other\.safetensors: the weights do not fit"):
        PoseDetector(other)


def test_openpifpaf_finds_the_base_network_by_its_plug_in():
    code = (
        "import openpifpaf; base = openpifpaf.BASE_FACTORIES['lite0pyramid']();"
        "print('openpifpaf_lite0pyramid' in openpifpaf.plugin.REGISTERED, base.stride)"
    )
    root = Path(__file__).parents[3]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "8"]


def person(x0: float, y0: float, x1: float, y1: float, score: float = 0.8) -> Person:
    return Person(skeleton.empty(), score, (x0, y0, x1, y1))


def test_the_largest_and_most_central_person_is_chosen():
    middle, side, small = person(60, 20, 120, 230), person(0, 20, 60, 230), person(70, 100, 90, 160)
    assert choose_person([side, middle, small], 176, 256) == (middle, 1)
    assert choose_person([small, middle], 176, 256) == (middle, 0)
    # A doubtful shape of the same size is nobody to set a picture aside for.
    assert choose_person([middle, person(0, 20, 60, 230, score=0.1)], 176, 256) == (middle, 0)
    # Nor is a second skeleton on the same body.
    assert choose_person([middle, person(70, 20, 125, 230)], 176, 256) == (middle, 0)
    assert choose_person([], 176, 256) == (None, 0)


def test_of_several_the_rule_decides():
    large, middle = person(0, 20, 80, 250), person(75, 80, 105, 180)
    doubtful = person(84, 120, 92, 130, score=0.05)
    people = [large, middle, doubtful]
    assert choose_person(people, 176, 256, rule="largest")[0] is large
    assert choose_person(people, 176, 256, rule="main")[0] is large
    assert choose_person(people, 176, 256, rule="central")[0] is middle
    # Nearly as large, and central: that is the main person, though not the largest.
    nearly = person(52, 20, 124, 250)
    assert choose_person([large, nearly], 176, 256, rule="main") == (nearly, 1)
    assert choose_person([large, nearly], 176, 256, rule="largest") == (large, 1)


def test_with_its_mirror_image_a_picture_and_its_mirror_image_give_mirrored_joints(unseen):
    plain, both = PoseDetector(), PoseDetector(flip_test=True)
    # 177 wide, the network's own width: nothing is padded, so that mirror images are seen alike.
    pictures = [np.pad(image[:, :177], ((0, 0), (0, 1), (0, 0)), mode="edge") for image in unseen.images[:3]]
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]

    def joints(detector, images):
        return np.stack([people[0].joints for people in detector.detect(images)])

    there, turned = joints(both, pictures), skeleton.flip(joints(both, mirrored), 177)
    assert np.array_equal(skeleton.is_present(there), skeleton.is_present(turned))
    assert np.abs(there - turned)[..., :2].max() <= 2 / 64
    # Alone, the network does not treat both alike.
    assert np.abs(joints(plain, pictures) - skeleton.flip(joints(plain, mirrored), 177))[..., :2].max() > 0.5
    assert not np.array_equal(there, joints(plain, pictures))
    assert boxes.pckh(there, np.stack(unseen.seen)[:3]) >= 0.85


def test_several_scales_agree_with_each(unseen, detector):
    several = PoseDetector(edges_px=(256, 320))
    alone = several.detect(unseen.images[:2])
    assert same(alone, several.detect(unseen.images)[:2])
    first, second = detector.detect(unseen.images[:2]), PoseDetector(edges_px=(320,)).detect(unseen.images[:2])
    for merged, one, other in zip(alone, first, second, strict=True):
        assert len(merged) == 1
        low, high = (which(one[0].joints, other[0].joints) for which in (np.minimum, np.maximum))
        there = skeleton.is_present(one[0].joints) & skeleton.is_present(other[0].joints)
        assert there.sum() > 10
        assert (merged[0].joints[there] >= low[there]).all()
        assert (merged[0].joints[there] <= high[there]).all()
        found = skeleton.is_present(one[0].joints) | skeleton.is_present(other[0].joints)
        assert np.array_equal(skeleton.is_present(merged[0].joints), found)


def test_looks_are_merged_by_score_and_place():
    def seen(x: float, score: float, box: tuple[float, float, float, float] = (0, 0, 100, 200)) -> Person:
        joints = skeleton.empty()
        joints[0] = x, 10, score
        return Person(joints, score, box)

    one, other, elsewhere = seen(40, 0.75), seen(48, 0.25), seen(90, 0.5)
    assert merge_looks([[one]]) == [one]
    (near,) = merge_looks([[one], [other]])
    assert (*near.joints[0], near.score) == (42, 10, 0.75, 0.75)  # three quarters of the way to the surer one
    (far,) = merge_looks([[other], [elsewhere]])  # a quarter of the body away: the surer one alone
    assert (*far.joints[0], far.score) == (90, 10, 0.5, 0.5)
    child = seen(20, 0.5, box=(0, 100, 40, 200))
    assert len(merge_looks([[one], [child]])) == 2
