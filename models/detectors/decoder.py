"""openpifpaf's Predictor and its decoder, made to treat all pictures alike and keep their settings to themselves."""

import contextlib
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import openpifpaf
import torch
from openpifpaf.network import nets


@dataclass(frozen=True)
class Decoding:
    """Thresholds of openpifpaf's decoder (its option names, scores in 0..1).

    Lower than openpifpaf's own: its defaults are for crowds, where a doubtful joint is better left out. On held-out
    rendered people these find 97 to 99 % of the seen joints instead of 90 to 97 %, and hardly any that are not there.
    """

    seed_threshold: float = 0.15
    keypoint_threshold: float = 0.02
    keypoint_threshold_rel: float = 0.0
    instance_threshold: float = 0.15
    cif_th: float = 0.03
    caf_th: float = 0.01


class _FreshDecoder(openpifpaf.decoder.CifCaf):
    """Decodes every picture as if it were the first.

    openpifpaf's decoder keeps one buffer and adds each picture's scores on top of the last one's, a whole number
    higher: the last digits of a float32 depend on how many pictures came before.
    """

    def __call__(self, fields: Any, initial_annotations: Any = None) -> list[Any]:
        bones = torch.tensor(self.caf_metas[0].skeleton) - 1
        self.cpp_decoder = torch.classes.openpifpaf_decoder.CifCaf(len(self.cif_metas[0].keypoints), bones)
        people: list[Any] = super().__call__(fields, initial_annotations)
        return people


class _CpuPredictor(openpifpaf.Predictor):
    """openpifpaf configures its classes; settings on a class of our own are out of everybody else's reach."""

    device = torch.device("cpu")
    batch_size = 1
    loader_workers = 0
    long_edge = None
    fast_rescaling = True

    def __init__(self) -> None:
        super().__init__()
        metas = self.model_cpu.head_metas
        kinds = openpifpaf.headmeta
        cif, caf = next(
            (a, b) for a, b in itertools.pairwise(metas) if isinstance(a, kinds.Cif) and isinstance(b, kinds.Caf)
        )
        self.processor = _FreshDecoder([cif], [caf])


def make_predictor(network: nets.Shell) -> openpifpaf.Predictor:
    """A Predictor of the given network: it would only take the name of a checkpoint."""
    factory = openpifpaf.network.Factory
    # Both sides of it, Python and C++, report every picture.
    logging.getLogger("openpifpaf").setLevel(logging.WARNING)
    torch.ops.openpifpaf.set_quiet(True)
    with _attributes(factory, base_name=None, checkpoint=None, from_checkpoint=lambda self: (network, 0)):
        return _CpuPredictor()


@contextlib.contextmanager
def _attributes(owner: type, **values: Any) -> Iterator[None]:
    """Class attributes set to `values`, and put back."""
    before = {name: owner.__dict__[name] for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def decoder_settings(decoding: Decoding) -> Iterator[None]:
    """The decoder's thresholds, which are static members of its C++ classes, set and put back."""
    parts = openpifpaf.decoder.utils
    cifcaf = torch.classes.openpifpaf_decoder.CifCaf
    owners = {
        "seed_threshold": [(parts.CifSeeds, "threshold")],
        "keypoint_threshold": [(cifcaf, "keypoint_threshold"), (parts.nms.Keypoints, "keypoint_threshold")],
        "keypoint_threshold_rel": [(cifcaf, "keypoint_threshold_rel")],
        "instance_threshold": [(parts.nms.Keypoints, "instance_threshold")],
        "cif_th": [(parts.CifHr, "threshold")],
        "caf_th": [(parts.CafScored, "default_score_th")],
    }
    before = {(owner, name): getattr(owner, f"get_{name}")() for pairs in owners.values() for owner, name in pairs}
    for field in fields(decoding):
        for owner, name in owners[field.name]:
            getattr(owner, f"set_{name}")(getattr(decoding, field.name))
    try:
        yield
    finally:
        for (owner, name), value in before.items():
            getattr(owner, f"set_{name}")(value)
