"""WebDataset: tar shards of pairs, read in their order. A sample is two pictures, their label maps and a JSON.

000000.from.png, 000000.to.png                 pictures
000000.from_labels.png, 000000.to_labels.png   our eight labels
000000.json                                    names, person, joints (18 times x, y, score) of both
"""

import io
import json
import tarfile
from functools import lru_cache
from typing import Any

from pipeline.exports.folders import Folder
from pipeline.exports.selection import Selection, Track
from pipeline.people.labels import to_png
from pipeline.pictures import encode_png

PAIRS_A_SHARD = 1000
_REMEMBERED = 2000


def write(chosen: Selection, folder: Folder, track: Track) -> None:
    """`train-000000.tar`, `train-000001.tar`, ... of the splits that have pairs."""
    pack = chosen.pack
    # A picture is in many pairs, most of them near each other.
    picture = lru_cache(_REMEMBERED)(lambda row: encode_png(pack.image(row)))
    labels = lru_cache(_REMEMBERED)(lambda row: to_png(pack.parsing(row)))
    for split in chosen.splits:
        pairs = chosen.pairs(split)
        for number, first in enumerate(track(range(0, len(pairs), PAIRS_A_SHARD), f"{split} shards")):
            place = folder.place(f"{split}-{number:06d}.tar")
            partial = place.with_name(f"{place.name}.part")
            with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
                for index, (start, end) in enumerate(pairs[first : first + PAIRS_A_SHARD], start=first):
                    rows = {"from": start, "to": end}
                    parts = {f"{side}.png": picture(row) for side, row in rows.items()}
                    parts |= {f"{side}_labels.png": labels(row) for side, row in rows.items()}
                    parts["json"] = json.dumps({side: _told(chosen, row) for side, row in rows.items()}).encode()
                    for ending, data in parts.items():
                        header = tarfile.TarInfo(f"{index:06d}.{ending}")
                        header.size = len(data)
                        tar.addfile(header, io.BytesIO(data))
            partial.replace(place)


def _told(chosen: Selection, row: int) -> dict[str, Any]:
    pack = chosen.pack
    return {"name": pack.names[row], "person": pack.persons[row], "joints": pack.keypoints[row].tolist()}
