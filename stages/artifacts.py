"""Where artifacts live: `data/<stage>/<domain or method>/...`, and how tables of key points are kept."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.params import Domain
from pipeline.people.skeleton import JOINTS

if TYPE_CHECKING:
    import pandas as pd

DATA = Path("data")
# What single methods read of a domain beside its pack: <method>/<domain>/.
EXTRAS = DATA / "extras"


def artifact(stage: str, item: str, name: str) -> Path:
    """`data/<stage>/<item>/<name>`."""
    return DATA / stage / item / name


def sheet(stage: str, domain: str) -> Path:
    """The contact sheet of a data stage."""
    return DATA / "sheets" / stage / f"{domain}.png"


def pack(domain: str) -> Path:
    """The HDF5 file of a domain."""
    return DATA / "pack" / f"{domain}.h5"


def frames_folder(domain: str) -> Path:
    """The pictures that `ingest` cut out of clips, one shard for each clip; an empty one without clips."""
    return DATA / "ingest" / domain / "frames"


def pictures_folder(domain: str, settings: Domain) -> Path:
    """What the paths of the catalog are relative to: the raw input, or what was cut out of clips."""
    return frames_folder(domain) if settings.ingest.source == "video" else Path(settings.raw)


def pseudo_labels(domain: str) -> Path:
    """The table of SPT's pseudo labels of a domain: from, to, cost."""
    return EXTRAS / "spt" / domain / "pseudo_labels.parquet"


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write parquet, at once or not at all: the same rows give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    table.to_parquet(partial, index=False, compression="zstd")
    partial.replace(path)


def write_keypoints(path: Path, joints: dict[str, NDArray[np.float32]]) -> None:
    """Write `id, keypoints` (54 numbers: x, y, score of 18 joints), sorted by id."""
    import pandas as pd  # a third of a second, which stages without tables need not wait

    ids = sorted(joints)
    rows = [np.asarray(joints[key], np.float32).ravel() for key in ids]
    write_table(path, pd.DataFrame({"id": pd.Series(ids, dtype="string"), "keypoints": pd.Series(rows, dtype=object)}))


def read_keypoints(path: Path) -> dict[str, NDArray[np.float32]]:
    """(18, 3) joints by id."""
    import pandas as pd

    table = pd.read_parquet(path)
    return {
        str(key): np.asarray(row, np.float32).reshape(len(JOINTS), 3)
        for key, row in zip(table["id"], table["keypoints"], strict=True)
    }


def weights_file(path: str, key: str) -> Path:
    """The weights that the parameter `key` names; UserError when the file is absent."""
    if not Path(path).is_file():
        raise UserError(
            f"{key}: there is no file {path}; name a weights file, or run `make detectors` for the shipped ones"
        )
    return Path(path)


def curves(stage: str, method: str) -> Path:
    """The folder of a training's curves."""
    return DATA / "curves" / stage / method
