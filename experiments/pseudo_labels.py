"""Stage pseudo_labels: for every training picture the one whose label map may be its own in another pose, for SPT.

The root searches them only where its `methods` list SPT; this is the same search on what is packed.
Run as `python -m experiments.pseudo_labels`.
"""

import numpy as np
from numpy.typing import NDArray

from experiments.settings import HERE, root_params
from pipeline.packed import Pack
from pipeline.params import PseudoLabels
from pipeline.people.pseudo_labels import Gallery, costs, is_usable, shortlists, shrink
from stages.artifacts import pack


def search(packed: Pack, settings: PseudoLabels) -> NDArray[np.int32]:
    """(N, 2) rows of the pack: a training picture, and the one whose map and pose stand for another pose of it."""
    rows = [row for row in np.unique(packed.pairs("train")) if is_usable(packed.keypoints[row])]
    small = [shrink(packed.parsing(row), packed.keypoints[row]) for row in rows]
    gallery = Gallery(np.stack([labels for labels, _ in small]), np.stack([joints for _, joints in small]))
    lists = shortlists(gallery, nearest=settings.nearest, likely=settings.likely, min_change=settings.min_change)
    found = [
        (rows[place], rows[others[int(costs(gallery[[place]], gallery[others]).argmin())]])
        for place, others in enumerate(lists)
        if len(others)
    ]
    return np.array(found, np.int32)


def main() -> None:
    """Write data/pseudo_labels.npy."""
    params = root_params()
    found = search(Pack(pack(params.pretrain_domain)), params.domain(params.pretrain_domain).pseudo_labels)
    (HERE / "data").mkdir(exist_ok=True)
    np.save(HERE / "data" / "pseudo_labels.npy", found)


if __name__ == "__main__":
    main()
