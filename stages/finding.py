"""How the person of a picture is found: the choices of `keypoints` in params.yaml, for all who need one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params import Keypoints
from pipeline.people.skeleton import Joints, drop_missing, is_present
from pipeline.pictures import Bytes

if TYPE_CHECKING:
    from models.detectors.pose import Person, PoseDetector

# The person, and how many others are of comparable size.
Found = tuple["Person | None", int]


@dataclass(frozen=True)
class Finding:
    """What decides who is found and which joints; the defaults are those of params.yaml."""

    precision: str = "float32"
    edges_px: tuple[int, ...] = (256, 320)
    flip_test: bool = True
    person: str = "main"
    min_score: float = 0.0
    low_scores: str = "drop"

    @classmethod
    def of(cls, settings: Keypoints) -> "Finding":
        """The choices of a domain."""
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})

    def detector(self, weights: Path, trusted: str = "") -> "PoseDetector":
        """The network of `weights`, which may be a pickle of the SHA-256 `trusted`."""
        from models.detectors.pose import PoseDetector

        return PoseDetector(
            weights, precision=self.precision, edges_px=self.edges_px, flip_test=self.flip_test, trusted=[trusted]
        )

    def choose(self, people: "Sequence[Person]", picture: Bytes) -> Found:
        """The person of a picture (H, W, 3) among the people in it."""
        from models.detectors.pose import choose_person

        return choose_person(people, picture.shape[1], picture.shape[0], rule=self.person)

    def joints(self, person: "Person") -> Joints:
        """The person's (18, 3) joints; those below `min_score` are missing, unless `low_scores` keeps them."""
        if self.low_scores == "keep":
            return person.joints
        return drop_missing(np.where(self.sure(person.joints)[:, None], person.joints, -1))

    def sure(self, joints: Joints) -> np.ndarray:
        """(18,) which joints are there with at least `min_score`."""
        return is_present(joints) & (joints[:, 2] >= self.min_score)
