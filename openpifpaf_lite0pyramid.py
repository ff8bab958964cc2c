"""A plug-in of openpifpaf, found by its name: `--basenet lite0pyramid` is the base network of our pose detector."""

from typing import Any

import openpifpaf


def register() -> None:
    """Called by openpifpaf when it is imported: names the base network, which is made when it is asked for."""
    openpifpaf.BASE_FACTORIES["lite0pyramid"] = _base_network


def _base_network() -> Any:
    # openpifpaf looks for plug-ins while it is being imported, perhaps by this very module.
    from models.detectors import posenet

    return posenet.Lite0Pyramid()
