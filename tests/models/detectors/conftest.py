"""What the detector tests share: the shipped networks, and rendered people that no training has seen."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from models.detectors.parsing import Parser
from models.detectors.pose import PoseDetector
from pipeline.people import skeleton
from pipeline.render import Figure, plan, render

UNSEEN_SEED = 660001


@dataclass(frozen=True)
class Sheet:
    """Rendered people of one size."""

    figures: list[Figure]

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        return [figure.image for figure in self.figures]

    @property
    def seen(self) -> list[skeleton.Joints]:
        missing = np.asarray(skeleton.MISSING, np.float32)
        return [np.where(f.joints[:, 2:] > 0.75, f.joints, missing).astype(np.float32) for f in self.figures]


@pytest.fixture(scope="session")
def unseen() -> Sheet:
    natural = plan("natural", people=2, poses=2, seed=UNSEEN_SEED)
    toon = plan("toon", people=2, poses=1, seed=UNSEEN_SEED)
    return Sheet([render(spec) for spec in [*natural, toon[0], toon[2]]])


@pytest.fixture(scope="session")
def detector() -> PoseDetector:
    return PoseDetector()


@pytest.fixture(scope="session")
def parser() -> Parser:
    return Parser()
