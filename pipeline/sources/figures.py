"""Source `figures`: the rendered people, pictures in shards beside a table of what is true of them.

The true joints and labels are no annotation here: extraction is to be exercised, and scored against them.
"""

import tarfile
from pathlib import Path

from pipeline.errors import UserError
from pipeline.sources.entries import Entry, Options, RawSource

COLUMNS = ("id", "person", "pose", "split")
SPLITS = ("train", "val", "test")


def read(raw: Path, options: Options) -> RawSource:
    """Every picture of the table, with its split; UserError when table or shards are missing or damaged."""
    import pandas as pd  # a third of a second, which stages that read no table need not wait

    remedy = f"run `dvc repro figures@{options.domain}`, or set domains.{options.domain}.raw to rendered people"
    try:
        table = pd.read_parquet(raw / "truth.parquet")
    # As with pictures, a reader of tables or archives may raise nearly anything on damaged bytes.
    except Exception as error:
        raise UserError(f"{raw / 'truth.parquet'} cannot be read ({error}); {remedy}") from error
    if missing := [column for column in COLUMNS if column not in table]:
        raise UserError(f"{raw / 'truth.parquet'} has no column '{missing[0]}'; {remedy}")
    if unknown := [split for split in table["split"].dropna() if split not in SPLITS]:
        raise UserError(f"{raw / 'truth.parquet'} has a split {unknown[0]!r} instead of {', '.join(SPLITS)}; {remedy}")
    members = _members(raw, remedy)
    entries, set_aside = [], []
    for row in table.sort_values("id").itertuples():
        item_id = str(row.id)
        if item_id not in members:
            set_aside.append((item_id, f"listed in truth.parquet, but no picture in {raw / 'images'}; {remedy}"))
            continue
        split = None if pd.isna(row.split) else str(row.split)
        entries.append(Entry(item_id, members.pop(item_id), str(row.person), str(row.pose), split))
    set_aside += [(key, f"{path} is not listed in truth.parquet; {remedy}") for key, path in members.items()]
    if not entries:
        raise UserError(f"{raw} holds no pictures; {remedy}")
    return RawSource(entries=entries, set_aside=set_aside)


def _members(raw: Path, remedy: str) -> dict[str, str]:
    """Path of each picture by its id."""
    found = {}
    for path in sorted((raw / "images").glob("*.tar")):
        try:
            with tarfile.open(path) as tar:
                found.update({name.rpartition(".")[0]: f"images/{path.name}/{name}" for name in tar.getnames()})
        except Exception as error:
            raise UserError(f"{path} cannot be read as a tar archive ({error}); {remedy}") from error
    return found
