"""Stage train_pose: our pose network from rendered people and, where there are some, photographs.

Run as `python -m models.detectors.train_pose`.
"""

from dataclasses import replace

import numpy as np
import openpifpaf
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.detectors import examples, lite0, posenet, settings, storage, training
from models.detectors.training import Sample
from pipeline.people import skeleton

# openpifpaf pads every side to a multiple of 16 and one more pixel, with this grey, at the right and below.
PADDING_RGB = (124, 116, 104)
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
    face = [skeleton.NOSE, skeleton.RIGHT_EYE, skeleton.LEFT_EYE, skeleton.RIGHT_EAR, skeleton.LEFT_EAR]
    hidden = out[:, face, 2] < 0.75
    out[:, face] = np.where(hidden[..., None], np.asarray(skeleton.MISSING, np.float32), out[:, face])
    return out


def main() -> None:
    """Write weights/pose.safetensors."""
    params, here = settings.read(), settings.HERE
    torch.set_num_threads(1)
    knobs = params.train_pose
    data = examples.for_training(here / "data/rendered.h5", here / "data/photographs.h5", params.held_out_share)
    data = replace(data, joints=without_hidden_faces(data.joints))
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
