"""What a training in half precision computes in whole numbers of 32 bits all the same."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Given = ParamSpec("Given")
Found = TypeVar("Found")

_HALVES = (torch.bfloat16, torch.float16)


def in_float32(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """`function` without autocast inside, its tensors of half precision widened before; nothing else changes.

    For what eight or eleven bits cannot tell: places in a picture, differences of numbers that are nearly equal, sums
    of thousands of squares.
    """

    @functools.wraps(function)
    def widened(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        kind = next(value.device.type for value in args if isinstance(value, Tensor))
        values = (value.float() if isinstance(value, Tensor) and value.dtype in _HALVES else value for value in args)
        if not torch.amp.is_autocast_available(kind):
            return function(*values, **kwargs)  # type: ignore[arg-type]
        with torch.autocast(kind, enabled=False):
            return function(*values, **kwargs)  # type: ignore[arg-type]

    return widened
