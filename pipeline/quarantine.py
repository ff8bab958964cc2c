"""What a stage set aside: a table of names and reasons, and the limit above which the stage fails instead."""

from pathlib import Path

import pandas as pd

from pipeline.errors import UserError

Rows = list[tuple[str, str]]


def write(path: Path, rows: Rows) -> None:
    """Write `name,reason` sorted by name; an empty table has its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(sorted(rows), columns=["name", "reason"]).to_csv(path, index=False, lineterminator="\n")


def read(path: Path) -> Rows:
    """The rows of one quarantine.csv."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return list(zip(table["name"], table["reason"], strict=True))


def enforce(rows: Rows, *, total: int, limit: float, key: str) -> None:
    """UserError when more than `limit` (a share, the parameter `key`) of `total` was set aside, or nothing is left."""
    if (total and len(rows) > limit * total) or total <= len(rows):
        shown = "\n".join(f"  {name}: {reason}" for name, reason in sorted(rows)[:5])
        raise UserError(
            f"{len(rows)} of {total} were set aside, more than {key}: {limit} allows"
            f"{' (nothing is left)' if total <= len(rows) else ''}. The first:\n{shown or '  (there was no input)'}\n"
            f"Mend them, or raise {key} in params.yaml."
        )
