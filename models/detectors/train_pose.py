"""Stage train_pose: our pose network from rendered people and, where there are some, photographs.

Run as `python -m models.detectors.train_pose`.
"""

from dataclasses import replace

import numpy as np
import openpifpaf
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from models.detectors import examples, lite0, posenet, settings, storage, training
from models.detectors.examples import Examples
from models.detectors.training import Sample
from pipeline.people import labels as vocabulary
from pipeline.people import skeleton

# openpifpaf pads every side to a multiple of 16 and one more pixel, with this grey, at the right and below.
PADDING_RGB = (124, 116, 104)

# Groups of joints, the labels they lie on, and how far from those a joint of a photograph may be.
EYES = [skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE]
EARS = [skeleton.RIGHT_EAR, skeleton.LEFT_EAR]
FACE = EYES + EARS
BODY = [joint for joint in range(len(skeleton.JOINTS)) if joint not in FACE]
FACE_LABELS, HEAD_LABELS = [vocabulary.FACE], [vocabulary.FACE, vocabulary.HAIR]
PERSON_LABELS = [label for label in range(len(vocabulary.LABELS)) if label != vocabulary.BACKGROUND]
STRAY_PX = 4

# Of the renderer's: shoulders and hips narrower, shoulders higher (in torsos), shins shorter.
SHOULDER_WIDTH, HIP_WIDTH, SHOULDER_LIFT, SHIN_LENGTH = 0.94, 0.86, 0.045, 0.93

_MEAN = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1) * 255
_STD = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1) * 255


class Encode:
    """Turns a changed example into a padded picture (3, 257, 177) uint8 and openpifpaf's CIF and CAF targets."""

    def __init__(self, network: nn.Module) -> None:
        cif, caf = network.head_metas
        self.encoders = (openpifpaf.encoder.Cif(cif, bmin=0.1), openpifpaf.encoder.Caf(caf, bmin=0.1))

    def __call__(self, image: NDArray[np.uint8], joints: skeleton.Joints, labels: NDArray[np.uint8]) -> Sample:
        """The picture and the two targets; `labels` play no part."""
        height, width = image.shape[:2]
        padded = np.empty((-(-(height - 1) // 16) * 16 + 1, -(-(width - 1) // 16) * 16 + 1, 3), np.uint8)
        padded[:] = PADDING_RGB
        padded[:height, :width] = image
        picture = torch.from_numpy(padded).permute(2, 0, 1)
        points = skeleton.to_coco17(joints).copy()
        points[:, 2] = np.where(skeleton.is_present(points), 2, 0)
        box = np.array([0, 0, width, height], np.float32)
        people = [{"keypoints": points, "bbox": box, "iscrowd": False}] if points[:, 2].any() else []
        meta = {"valid_area": np.array([0, 0, width, height], np.float32)}
        return picture, *(encode(picture, people, meta) for encode in self.encoders)


class Loss:
    """openpifpaf's composite losses of both fields."""

    def __init__(self, network: nn.Module) -> None:
        self.criterion = openpifpaf.network.losses.Factory().factory(network.head_metas)

    def __call__(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        """The sum over the fields for one batch of `Encode`."""
        picture, *targets = batch
        fields = network(((picture.float() - _MEAN) / _STD).contiguous(memory_format=torch.channels_last))
        return self.criterion(fields, targets)[0]


def is_encoder(name: str) -> bool:
    """Whether a parameter belongs to the pretrained encoder."""
    return name.startswith("base_net.encoder.")


def without_hidden_faces(joints: skeleton.Joints) -> skeleton.Joints:
    """(N, 18, 3) without the eyes, ears and noses that are hidden (a score of 0.5): a back of the head has none.

    Other hidden joints stay: where an elbow is behind the body can be told from the rest.
    """
    out = joints.copy()
    hidden = out[:, FACE, 2] < 0.75
    out[:, FACE] = np.where(hidden[..., None], np.asarray(skeleton.MISSING, np.float32), out[:, FACE])
    return out


def as_photographs_name_them(joints: skeleton.Joints) -> skeleton.Joints:
    """(N, 18, 3) joints of rendered people where people who annotate photographs put them.

    The renderer's joints are those of the bones. Measured from the eyes to the knees of upright people, annotators, and
    networks that learned from them, put shoulders higher and closer together, hips closer together and ankles higher:
    the medians of 771 people of the field's public annotations and of 1,642 in street photographs agree to 0.01.
    """
    out = joints.copy()
    shoulders, hips = [skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER], [skeleton.RIGHT_HIP, skeleton.LEFT_HIP]
    sides = np.asarray(skeleton.is_present(joints)[:, shoulders + hips].all(axis=1))
    for pair, width in ((shoulders, SHOULDER_WIDTH), (hips, HIP_WIDTH)):
        middle = joints[:, pair, :2].mean(axis=1, keepdims=True)
        out[:, pair, :2] = np.where(
            sides[:, None, None], middle + width * (joints[:, pair, :2] - middle), joints[:, pair, :2]
        )
    up = joints[:, shoulders, :2].mean(axis=1) - joints[:, hips, :2].mean(axis=1)
    raised = [*shoulders, skeleton.NECK]
    out[:, raised, :2] += np.where(sides[:, None] & (up[:, 1:] < 0), SHOULDER_LIFT * up, 0)[:, None]
    for knee, ankle in ((skeleton.RIGHT_KNEE, skeleton.RIGHT_ANKLE), (skeleton.LEFT_KNEE, skeleton.LEFT_ANKLE)):
        both = np.asarray(skeleton.is_present(joints)[:, [knee, ankle]].all(axis=1))
        shin = np.where(both[:, None], joints[:, ankle, :2] - joints[:, knee, :2], 0)
        out[:, ankle, :2] -= (1 - SHIN_LENGTH) * shin
    return skeleton.move(
        skeleton.drop_missing(out), offset=(0, 0), scale=(1, 1), size=(examples.WIDTH, examples.HEIGHT)
    )


def without_strays(data: Examples) -> Examples:
    """The examples without the joints of photographs that their label maps contradict.

    Another network named those joints, and it always names all of them: eyes and noses stay that are within 4 px of a
    face, ears of a face or hair, other joints of the person.
    """
    joints, missing = data.joints.copy(), np.asarray(skeleton.MISSING, np.float32)
    height, width = data.labels.shape[1:]
    for row in np.flatnonzero(data.has_labels & (np.array(data.kinds) == "photograph")):
        for members, parts in ((EYES, FACE_LABELS), (EARS, HEAD_LABELS), (BODY, PERSON_LABELS)):
            near = ndimage.distance_transform_edt(~np.isin(data.labels[row], parts)) <= STRAY_PX
            named = joints[row, members]
            x, y = np.rint(named[:, :2]).astype(int).clip(0, [width - 1, height - 1]).T
            joints[row, members] = np.where(near[y, x, None], named, missing)
    return replace(data, joints=joints)


def main() -> None:
    """Write weights/pose.safetensors."""
    params, here = settings.read(), settings.HERE
    torch.set_num_threads(1)
    knobs = params.train_pose
    data = examples.for_training(here / "data/rendered.h5", here / "data/photographs.h5", params.held_out)
    photographic = np.isin(data.kinds, ("natural", "shop", "backs"))[:, None, None]
    joints = np.where(photographic, as_photographs_name_them(data.joints), data.joints)
    data = replace(data, joints=joints)
    data = without_strays(replace(data, joints=without_hidden_faces(data.joints)))
    description = {"base": posenet.NAME, "width": posenet.WIDTH}
    network = posenet.build(description)
    if knobs.start is None:
        lite0.load_imagenet(network.base_net.encoder)
    else:
        network.load_state_dict(storage.read(here / knobs.start)[0])
    weights = training.fit(
        network,
        Loss(network),
        training.Stream(data, knobs, params.strength, Encode(network)),
        knobs,
        is_encoder=is_encoder,
        state_file=here / ".cache" / "train_pose.pt",
        curves=here / "curves" / "pose",
    )
    storage.save(here / "weights" / "pose.safetensors", weights, description)


if __name__ == "__main__":
    main()
