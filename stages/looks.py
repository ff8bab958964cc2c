"""Pictures from anywhere, looked at as the stages do it: brought to the network's size, joints and labels found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from models.detectors.parsing import SHIPPED as PARSING_WEIGHTS
from models.detectors.parsing import Parser
from models.detectors.pose import SHIPPED as POSE_WEIGHTS
from models.detectors.pose import Person, PoseDetector
from pipeline import params
from pipeline.crops import Move, find_move
from pipeline.people.labels import LabelMap
from pipeline.pictures import Bytes
from stages.artifacts import weights_file
from stages.crop import person_finder
from stages.edges import edge_settings
from stages.finding import Finding, Found
from stages.parsing import Labelling


@dataclass(frozen=True)
class Recipe:
    """How pictures are looked at: the settings of a domain in params.yaml, whose defaults these are."""

    size: tuple[int, int] = (176, 256)  # width, height
    crop: str | None = None  # a crop mode, or none; None: a picture of `size` as it is, any other around its person
    min_size_px: int = 48
    max_pixels: int = 60_000_000
    pose_weights: Path = POSE_WEIGHTS
    trusted: str = ""
    finding: Finding = field(default_factory=Finding)
    min_joints: int = 6
    parsing_weights: Path = PARSING_WEIGHTS
    labelling: Labelling = field(default_factory=Labelling)
    min_person: float = 0.02
    edges: Mapping[str, float] = field(default_factory=dict)

    def crop_of(self, picture: Bytes) -> str:
        """The crop mode of a picture (H, W, 3), or none."""
        is_ready = picture.shape[1::-1] == self.size
        return self.crop or ("none" if is_ready else "person")


def read_recipe(crop: str | None = None) -> Recipe:
    """The recipe of the domain that is pretrained on; the defaults in a folder without params.yaml."""
    if not Path("params.yaml").is_file():
        return Recipe(crop=crop)
    settings = params.load()
    name = settings.pretrain_domain
    domain = settings.domain(name)
    return Recipe(
        size=(domain.crop.width, domain.crop.height),
        crop=crop,
        min_size_px=domain.ingest.min_size_px,
        max_pixels=domain.ingest.max_pixels,
        pose_weights=weights_file(domain.keypoints.weights, f"domains.{name}.keypoints.weights"),
        trusted=domain.keypoints.trusted,
        finding=Finding.of(domain.keypoints),
        min_joints=domain.keypoints.min_joints,
        parsing_weights=weights_file(domain.parsing.weights, f"domains.{name}.parsing.weights"),
        labelling=Labelling.of(domain.parsing),
        min_person=domain.parsing.min_person,
        edges=edge_settings(domain.edges),
    )


@dataclass(frozen=True)
class Seen:
    """What is found in a picture of the network's size: the person, how many others of comparable size, the labels."""

    person: Person | None
    others: int
    labels: LabelMap


class Looker:
    """Both networks, loaded once and when needed."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def cut(self, picture: Bytes) -> tuple[Move, int]:
        """How a picture (H, W, 3) gets its size, and how many people of comparable size are left out by that.

        BadItem where the crop mode cannot do it.
        """
        mode, original = self.recipe.crop_of(picture), (picture.shape[1], picture.shape[0])
        if mode == "none":
            return find_move("resize", original, original), 0
        person, others = self._find(picture) if mode == "person" else (None, 0)
        return find_move(mode, original, self.recipe.size, box=person.box if person else None), others

    def see(self, images: Sequence[Bytes]) -> list[Seen]:
        """What is found in each picture (H, W, 3)."""
        people = self._detector.detect(images)
        maps = self._parser.parse(images)
        chosen = [self.recipe.finding.choose(found, image) for found, image in zip(people, images, strict=True)]
        return [Seen(person, others, labels) for (person, others), labels in zip(chosen, maps, strict=True)]

    @cached_property
    def _find(self) -> Callable[[Bytes], Found]:
        return person_finder(self.recipe.pose_weights, self.recipe.finding.person, self.recipe.trusted)

    @cached_property
    def _detector(self) -> PoseDetector:
        return self.recipe.finding.detector(self.recipe.pose_weights, self.recipe.trusted)

    @cached_property
    def _parser(self) -> Parser:
        return self.recipe.labelling.parser(self.recipe.parsing_weights)
