"""Trained networks as the training stages leave them."""

from pathlib import Path

from pipeline.errors import UserError
from stages.artifacts import DATA

# What `pretrain` and `finetune` write; a folder below a method's holds trainings that are there to be compared with.
_TRAINED = ("pretrain/*/weights.safetensors", "finetune/*/*.safetensors")


def trained() -> list[Path]:
    """The trained networks, the one that was written last first; UserError when there is none."""
    files = [path for pattern in _TRAINED for path in DATA.glob(pattern)]
    if not files:
        raise UserError(
            f"there is no trained network in {DATA}/pretrain and {DATA}/finetune: "
            "run `dvc repro` in the project's root, or give --checkpoint FILE"
        )
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.as_posix()), reverse=True)


def newest() -> Path:
    """The file that was written last among the trained ones; UserError when there is none."""
    return trained()[0]
