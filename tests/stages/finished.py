"""A finished evaluation of several methods as the report reads it: pictures of one colour, so that one can tell them."""

import itertools
import json

import numpy as np
import pandas as pd

from pipeline.packed import Picture, write_pack
from pipeline.people import skeleton
from pipeline.pictures import encode_png
from pipeline.shards import write_shards
from stages import artifacts

SIZE = (44, 64)
COUNT = 5
NAMES = [f"anna_{number}" for number in range(COUNT)]
# Every ordered pair but those of a picture with itself; the score rises along the list for the first method.
PAIRS = [pair for pair in itertools.product(NAMES, repeat=2) if pair[0] != pair[1]]


def colour_of(domain, name):
    """Of a person's picture: red says the domain, green the picture."""
    return {"source": 60, "target": 200}[domain], 20 + 40 * NAMES.index(name), 10


def colour_drawn(method_number, pair_number):
    """Of a generated picture: blue says the method, green the pair."""
    return 120, 5 + 10 * pair_number, 90 + 70 * method_number


def plain(colour):
    return np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)


def standing(shift=0.0):
    """(18, 3) joints of somebody upright who faces the camera."""
    joints = np.zeros((18, 3), np.float32)
    joints[:, 2] = 1
    joints[:, :2] = np.linspace((20, 5), (24, 60), 18)
    joints[skeleton.LEFT_SHOULDER, :2], joints[skeleton.RIGHT_SHOULDER, :2] = (30 + shift, 16), (14, 16)
    joints[skeleton.LEFT_HIP, :2], joints[skeleton.RIGHT_HIP, :2] = (26, 36), (18, 36)
    return joints


def scores_of(number, pair):
    """The second method is better on the first pair alone."""
    place = PAIRS.index(pair)
    return 0.3 + 0.02 * place - (0.1 if number and place else 0.0)


def finish(methods, domains=("source", "target")):
    """Write packs, key points, generated pictures, pair scores and results below the current folder."""
    rows = []
    for domain in domains:
        _pack(domain)
        artifacts.write_keypoints(
            artifacts.artifact("keypoints", domain, "keypoints.parquet"), {name: standing() for name in NAMES}
        )
    for number, method in enumerate(methods):
        tables = []
        for domain in domains:
            made = {
                f"{source}___{target}": encode_png(plain(colour_drawn(number, place)))
                for place, (source, target) in enumerate(PAIRS)
            }
            write_shards(artifacts.artifact("evaluate", method, "generated") / domain, made, shards=2, suffix=".png")
            values = [scores_of(number, pair) for pair in PAIRS]
            tables.append(_table(domain, method, values))
            rows += list(_rows(domain, methods, number))
        artifacts.write_table(artifacts.artifact("evaluate", method, "pairs.parquet"), pd.concat(tables))
    results = artifacts.DATA / "results" / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps({"domains": {}, "rows": rows}))


def _pack(domain):
    blank = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    people = [
        Picture(name, "anna", plain(colour_of(domain, name)), standing(), None, blank, blank, blank) for name in NAMES
    ]
    rows = np.array([[NAMES.index(name) for name in pair] for pair in PAIRS], np.int32)
    write_pack(
        artifacts.pack(domain),
        people,
        count=COUNT,
        pairs={"test": rows},
        size=SIZE,
        sigma_px=6.0,
        source="folder",
        with_heatmaps=False,
    )


def _table(domain, method, values):
    sources, targets = zip(*PAIRS, strict=True)
    told = {"domain": domain, "protocol": "plain", "method": method, "from": sources, "to": targets, "group": "anna"}
    return pd.DataFrame(told | {"ssim_mask": values, "joint_error_px": [3.25] * len(PAIRS)})


def _rows(domain, methods, number):
    described = {"method": methods[number], "domain": domain, "protocol": "plain", "split": "test"}
    described |= {"pairs": len(PAIRS), "n": len(PAIRS), "resampled": "persons"}
    yield described | {"metric": "ssim_mask", "value": 0.6 - 0.1 * number, "low": 0.5, "high": 0.7}
    for other, name in enumerate(methods):
        gain = 0.1 * (other - number)
        if other != number:
            yield described | {
                "metric": f"ssim_mask_minus_{name}",
                "value": gain,
                "low": gain - 0.02,
                "high": gain + 0.02,
            }
