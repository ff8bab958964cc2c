import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline.people import labels, skeleton
from pipeline.render import assembly, plan, render, tracing
from pipeline.render.tracing import View

PERSON_OF = {  # what may be seen at a joint that is not hidden
    "nose": {"face"}, "right_eye": {"face", "hair"}, "left_eye": {"face", "hair"},
    "right_ear": {"face", "hair"}, "left_ear": {"face", "hair"},
    "right_wrist": {"arm", "upper_clothes"}, "left_wrist": {"arm", "upper_clothes"},
    "right_elbow": {"arm", "upper_clothes"}, "left_elbow": {"arm", "upper_clothes"},
    "right_shoulder": {"arm", "upper_clothes", "hair", "face"}, "left_shoulder": {"arm", "upper_clothes", "hair", "face"},
    "right_hip": {"upper_clothes", "pants", "skirt"}, "left_hip": {"upper_clothes", "pants", "skirt"},
    "right_knee": {"pants", "skirt", "leg", "upper_clothes"}, "left_knee": {"pants", "skirt", "leg", "upper_clothes"},
    "right_ankle": {"pants", "leg", "skirt", "upper_clothes"}, "left_ankle": {"pants", "leg", "skirt", "upper_clothes"},
}  # fmt: skip
BODY_LIMBS = [limb for limb in skeleton.LIMBS if limb not in ((1, 0), (0, 14), (14, 16), (0, 15), (15, 17))]


@pytest.fixture(scope="module")
def specs():
    natural = plan("natural", people=4, poses=2, seed=41) + plan("natural", people=3, poses=2, seed=42, variety=1.0)
    return natural + plan("toon", people=2, poses=2, seed=0)


@pytest.fixture(scope="module")
def figures(specs):
    return [render(spec) for spec in specs]


def test_pictures_have_the_promised_shapes(figures):
    for figure in figures:
        assert figure.image.shape == (256, 176, 3)
        assert figure.image.dtype == np.uint8
        assert figure.labels.shape == (256, 176)
        assert figure.labels.dtype == np.uint8
        assert figure.joints.shape == (18, 3)
        assert figure.joints.dtype == np.float32


def test_what_is_seen_at_a_joint_is_the_part_that_it_belongs_to(figures):
    checked = 0
    for figure in figures:
        for joint, name in enumerate(skeleton.JOINTS):
            x, y, score = figure.joints[joint]
            if score == 1 and name in PERSON_OF:
                row, column = round(float(y)), round(float(x))
                near = figure.labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                allowed = {labels.LABELS.index(part) for part in PERSON_OF[name]}
                assert allowed & set(near.ravel().tolist()), (figure.id, name, np.unique(near))
                checked += 1
    assert checked > 12 * len(figures) * 0.6


def test_there_is_no_background_inside_trunk_and_limbs(figures):
    for figure in figures:
        joints = figure.joints
        present = skeleton.is_present(joints)
        for a, b in BODY_LIMBS:
            if present[a] and present[b]:
                share = np.linspace(0, 1, 40)[:, None]
                path = np.rint(joints[a, :2] * (1 - share) + joints[b, :2] * share).astype(int)
                found = figure.labels[path[:, 1], path[:, 0]]
                assert (found != labels.BACKGROUND).all(), (figure.id, skeleton.JOINTS[a], skeleton.JOINTS[b])


def test_the_bare_body_is_always_covered_by_the_dressed_one(specs):
    """A ray that meets the body under the clothes must end on the person: nothing can be seen through."""
    for spec in specs[::3]:
        surface = assembly.assemble(spec.phenotype, spec.outfit, spec.hair, spec.stance, spec.head_size)
        bare = assembly.assemble(spec.phenotype, (), replace(spec.hair, style="bald"), spec.stance, spec.head_size)
        camera = tracing.aim(spec.view, surface.points, 176 / 256)
        shift = surface.joints[skeleton.NOSE] - bare.joints[skeleton.NOSE]
        origins, directions = camera.rays(88, 128)
        body = tracing.build(replace(bare, points=bare.points + shift)).run(origins, directions) >= 0
        hits = tracing.trace(tracing.build(surface), surface, spec.outfit, spec.hair, origins, directions)
        dressed = np.zeros(len(origins), bool)
        dressed[hits.ray] = True
        assert body.sum() > 500
        assert not (body & ~dressed).any()


def test_the_neck_is_the_middle_of_the_shoulders(figures):
    for figure in figures:
        again = skeleton.from_coco17(skeleton.to_coco17(figure.joints))
        np.testing.assert_array_equal(again, figure.joints)


def test_hair_leaves_the_face_free(specs):
    for spec in plan("natural", people=8, poses=1, seed=8):
        ahead = replace(spec, view=View(0.0, 2.0), stance=replace(spec.stance, head=(0, 0, 0), chest=(0, 0, 0)))
        figure = render(ahead)
        nose, left, right = (figure.joints[joint] for joint in (skeleton.NOSE, skeleton.LEFT_EYE, skeleton.RIGHT_EYE))
        assert nose[2] == left[2] == right[2] == 1, (spec.id, spec.hair.style)


def test_turning_away_hides_the_face_and_swaps_the_sides():
    spec = plan("natural", people=1, poses=1, seed=3)[0]
    front, back = (render(replace(spec, view=View(yaw))) for yaw in (0.0, 180.0))
    shoulders = (skeleton.LEFT_SHOULDER, skeleton.RIGHT_SHOULDER)
    assert front.joints[shoulders[0], 0] > front.joints[shoulders[1], 0]
    assert back.joints[shoulders[0], 0] < back.joints[shoulders[1], 0]
    assert back.joints[skeleton.NOSE, 2] == tracing.OCCLUDED_SCORE
    assert front.joints[skeleton.NOSE, 2] == 1
    assert (back.labels == labels.FACE).sum() < 0.5 * (front.labels == labels.FACE).sum()


def test_joints_outside_the_frame_are_missing():
    spec = plan("natural", people=1, poses=1, seed=3)[0]
    cropped = render(replace(spec, view=View(0.0, lowest=0.45, fill=1.0)))
    assert (cropped.joints[[skeleton.LEFT_ANKLE, skeleton.RIGHT_ANKLE]] == skeleton.MISSING).all()


def test_labels_are_those_of_the_outfit(specs, figures):
    for spec, figure in zip(specs, figures, strict=True):
        worn = {garment.label for garment in spec.outfit}
        found = set(np.unique(figure.labels).tolist())
        assert found - worn <= {labels.BACKGROUND, labels.HAIR, labels.FACE, labels.ARM, labels.LEG}
        assert labels.UPPER_CLOTHES in found


def test_another_size_shows_the_same_picture(specs):
    small, large = render(specs[0], width=88, height=128), render(specs[0])
    present = skeleton.is_present(large.joints)
    np.testing.assert_allclose((small.joints[present, :2] + 0.5) * 2, large.joints[present, :2] + 0.5, atol=0.02)
    halved = large.image.reshape(128, 2, 88, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small.image).mean() < 4


def test_the_bytes_are_the_same_in_another_process(figures, specs):
    def digest(figure):
        return hashlib.sha256(figure.image.tobytes() + figure.labels.tobytes() + figure.joints.tobytes()).hexdigest()

    program = (
        "import hashlib; from pipeline.render import plan, render; f = render(plan('natural', people=4, poses=2, seed=41)[7]);"
        "print(hashlib.sha256(f.image.tobytes() + f.labels.tobytes() + f.joints.tobytes()).hexdigest());"
        "import sys; print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert told == [digest(figures[7]), "False"]


def test_a_camera_projects_what_its_rays_meet(specs):
    camera = tracing.Camera(33.0, 8.0, 5.0, 4.0, 25.0, (0.0, 0.9, 0.0), (0.03, -0.02))
    origins, directions = camera.rays(30, 40)
    pixels = camera.project(origins + directions * 3.3, 30, 40)
    y, x = np.divmod(np.arange(30 * 40), 30)
    np.testing.assert_allclose(pixels, np.stack([x, y], axis=1), atol=1e-3)
