"""Figurines: people put together from a few rounded solids, almost half of them head, as low-poly games have them."""

from models.detectors.figurines.pictures import Order, draw

__all__ = ["Order", "draw"]
