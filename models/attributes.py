"""People edited by the codes of their eight parts: parts of other people, parts removed, blends of two people.

Shape suffixes: B batch, K the eight parts, S numbers of one part's code. Codes come from `Method.part_codes` and go
into `Method.generate`. A label is an index into `pipeline.people.labels.LABELS`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from models.data import Batch
from models.method import Method
from pipeline.people.labels import LABELS, PANTS, SKIRT

ALL_PARTS = tuple(range(len(LABELS)))

# Worn instead of each other: who takes one from a donor gives up the other.
INSTEAD = {PANTS: SKIRT, SKIRT: PANTS}

# No label: a part that no pixel shows.
_NOWHERE = 255


def empty_codes(method: Method, batch: Batch) -> Tensor:
    """(B, K, S) codes of parts that are not there: what takes a part off."""
    return method.part_codes(replace(batch, source_parsing=torch.full_like(batch.source_parsing, _NOWHERE)))


def with_parts(codes_BKS: Tensor, taken: Mapping[int, Tensor]) -> Tensor:
    """(B, K, S) with the parts that `taken` names, each from the donor codes (B or 1, K, S) given for it.

    Pants and a skirt are worn instead of each other, so either brings both codes of its donor unless `taken` names the
    other one too.
    """
    mixed_BKS = codes_BKS.clone()
    for label, donor_BKS in taken.items():
        mixed_BKS[:, label] = donor_BKS[:, label]
        other = INSTEAD.get(label)
        if other is not None and other not in taken:
            mixed_BKS[:, other] = donor_BKS[:, other]
    return mixed_BKS


def blend(one_1KS: Tensor, other_1KS: Tensor, parts: Collection[int], steps: int) -> Tensor:
    """(steps, K, S) from `one` to `other` in the named parts, evenly; the other parts stay those of `one`.

    Pants and a skirt go together: one fades while the other comes.
    """
    share_T1 = torch.linspace(0, 1, steps, device=one_1KS.device)[:, None]
    mixed_TKS = one_1KS.repeat(steps, 1, 1)
    for label in {*parts, *(INSTEAD[label] for label in parts if label in INSTEAD)}:
        mixed_TKS[:, label] = torch.lerp(one_1KS[:, label], other_1KS[:, label], share_T1)
    return mixed_TKS
