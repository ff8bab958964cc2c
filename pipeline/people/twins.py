"""Mirrored twins: a picture's left-right flip as a picture of its own, called `<id>~flip`, of the same person."""

from collections.abc import Container

import numpy as np
from numpy.typing import NDArray

ENDING = "~flip"


def twin_of(name: str) -> str:
    """The name of the mirrored twin."""
    return f"{name}{ENDING}"


def original_of(name: str, known: Container[str]) -> tuple[str, bool]:
    """(the picture that `name` is made from, whether it is mirrored); one of the `known` is made from itself."""
    if name in known or not name.endswith(ENDING):
        return name, False
    return name.removesuffix(ENDING), True


def mirror(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) with left and right exchanged; our eight labels are the same on both sides."""
    return np.ascontiguousarray(plane[:, ::-1])
