"""Training curves by DVCLive, in the form that the trainer logs them."""

from functools import cached_property
from pathlib import Path

import numpy as np
from dvclive import Live
from numpy.typing import NDArray


class Curves:
    """Writes scalars as `plots/metrics/*.tsv` and sample pictures as `plots/images/*.png` below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def live(self) -> Live:
        """Begun by the process that logs; the others would clear its folder."""
        # The pipeline's own dvc.yaml declares these files; DVCLive writes none and records no experiment.
        return Live(str(self.folder), dvcyaml=None, save_dvc_exp=False, report=None)

    def log(self, step: int, values: dict[str, float]) -> None:
        """Scalars after `step` steps."""
        self.live.step = step
        for name, value in values.items():
            self.live.log_metric(name, value)

    def samples(self, step: int, sheet: NDArray[np.uint8]) -> None:
        """The newest sheet of samples."""
        self.live.log_image("samples.png", sheet)
