"""Rows of three numbers: dot products and unit vectors."""

import numpy as np
from numpy.typing import NDArray

from pipeline.render.bodies import Floats


def dot(a: Floats, b: Floats) -> Floats:
    """(N) the dot products of the rows of a and b (N, 3)."""
    return np.einsum("nk,nk->n", a, b)


def length(a: Floats) -> Floats:
    """(N) the lengths of the rows."""
    return np.sqrt(dot(a, a))


def unit(a: Floats) -> Floats:
    """(N, 3) the rows at length 1; a zero row stays zero."""
    return a / (length(a)[:, None] + np.float32(1e-12))


def row(*numbers: float) -> NDArray[np.float32]:
    """The numbers as one row in single precision."""
    return np.array(numbers, np.float32)
