"""Triangles cut along the zero line of a function of their corners."""

import numpy as np
from scipy import sparse

from pipeline.render.bodies import Floats, Ints


def clip(faces: Ints, depth: Floats) -> tuple[Ints, sparse.csr_matrix]:
    """The part of the mesh where `depth` (V), linear on each face, is above 0.

    Gives the faces (F', 3) and a matrix (V', V) whose rows blend the old vertices into the new ones; vertices that
    nothing uses are dropped.
    """
    inside = depth[faces] > 0
    count = inside.sum(axis=1)
    one, two = (_rotated(faces[count == want], inside[count == want], want == 1) for want in (1, 2))
    edges = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [0, 1]], two[:, [0, 2]]])
    unique, number = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True)
    cut = len(depth) + number.ravel()
    p1, q1, p2, q2 = np.split(cut, np.cumsum([len(one), len(one), len(two)]))
    kept = np.concatenate(
        [
            faces[count == 3],
            np.stack([one[:, 0], p1, q1], axis=1),
            np.stack([p2, two[:, 1], two[:, 2]], axis=1),
            np.stack([p2, two[:, 2], q2], axis=1),
        ]
    )
    a, b = unique.T
    share = depth[a] / (depth[a] - depth[b])
    rows = np.arange(len(unique))
    crossing = sparse.csr_matrix(
        (np.concatenate([1 - share, share]), (np.concatenate([rows, rows]), np.concatenate([a, b]))),
        (len(unique), len(depth)),
    )
    blend = sparse.vstack([sparse.identity(len(depth), format="csr"), crossing], format="csr")
    used, renumbered = np.unique(kept, return_inverse=True)
    return renumbered.reshape(-1, 3).astype(np.int32), blend[used].astype(np.float32)


def _rotated(faces: Ints, inside: np.ndarray, one_inside: bool) -> Ints:
    """The faces turned so that the corner that differs from the other two comes first."""
    first = (inside if one_inside else ~inside).argmax(axis=1)
    return np.take_along_axis(faces, (first[:, None] + np.arange(3)) % 3, axis=1)
