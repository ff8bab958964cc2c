"""Stage unseen: render people whom no training has seen, with what is exactly known of them.

Run as `python -m experiments.unseen`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments import settings
from experiments.settings import HERE
from pipeline.people.edges import draw_edges
from pipeline.people.labels import BACKGROUND
from pipeline.render import plan, render

PATH = HERE / "data" / "unseen.npz"


class Unseen:
    """The pictures as `models.data.Pictures`, with person and turn of each."""

    def __init__(self, path: Path = PATH) -> None:
        with np.load(path, allow_pickle=False) as file:
            self._images, self._labels = file["images"], file["labels"]
            self.keypoints: NDArray[np.float32] = file["joints"]
            self.persons: list[str] = [str(name) for name in file["persons"]]
            self.yaws_deg: NDArray[np.float64] = file["yaws_deg"]

    def __len__(self) -> int:
        return len(self.persons)

    def image(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return np.asarray(self._images[row])

    def parsing(self, row: int) -> NDArray[np.uint8]:
        """(H, W) labels 0..7."""
        return np.asarray(self._labels[row])

    def mask(self, row: int) -> NDArray[np.uint8]:
        """(H, W) 1 where the person is."""
        return (self._labels[row] != BACKGROUND).astype(np.uint8)

    def edges(self, row: int) -> NDArray[np.uint8]:
        """(H, W) dark lines on white."""
        return draw_edges(self.image(row))


def main() -> None:
    """Write data/unseen.npz."""
    cast = settings.read().unseen
    specs = plan("natural", people=cast["people"], poses=cast["poses"], seed=cast["seed"])
    figures = [render(spec) for spec in tqdm(specs, "unseen people")]
    PATH.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        PATH,
        images=np.stack([figure.image for figure in figures]),
        labels=np.stack([figure.labels for figure in figures]),
        joints=np.stack([figure.joints for figure in figures]).astype(np.float32),
        yaws_deg=np.array([figure.yaw_deg for figure in figures]),
        persons=np.array([spec.person for spec in specs]),
    )


if __name__ == "__main__":
    main()
