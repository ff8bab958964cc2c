"""The embedded data set: people in 3D, rendered with exact joints and label maps."""

from pipeline.render.people import Figure, FigureSpec, render
from pipeline.render.plan import plan

__all__ = ["Figure", "FigureSpec", "plan", "render"]
