"""Seed 003: people whom DPIG draws at random, and what a set of them teaches about re-identification.

Pictures are drawn at the size of the test pictures, and looked at by the same networks.
"""

from dataclasses import fields, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from experiments import plots
from experiments.scores import read_sight
from experiments.settings import HERE, Settings, trained_folder
from experiments.tables import Table, cell, holds_zero, said
from models.data import Batch, to_levels
from models.dpig import Dpig
from models.dpig_codes import BACKGROUND, FOREGROUND, POSE
from models.method import load
from models.metrics.intervals import bootstrap_mean
from models.reid import SIZE, Embedder, People, ReidSettings, adapt, believed, fresh, kissme, learn, rank
from models.sampling import nobody, sampled
from pipeline.packed import Pack
from pipeline.pictures import Bytes
from stages.artifacts import pack
from stages.measuring import look_here, score_set
from stages.reid_sets import read_pack

SAMPLED = 48  # pictures of each way
IMAGES = 8  # of each invented person
EPOCHS = 20
SHOWN = 8


@cache
def _method(name: str) -> Dpig:
    method = load(trained_folder("trained", name) / "weights.safetensors")
    assert isinstance(method, Dpig)
    return method


def draw(method: Dpig, count: int, seed: int, *, real_poses: bool = False) -> list[Bytes]:
    """Pictures (H, W, 3) of as many people who do not exist, in poses drawn at random or those of training pictures."""
    packed = Pack(pack("source"))
    width, height = packed.size
    batch = nobody(count, (height, width))
    factors = {FOREGROUND, BACKGROUND, POSE} & set(method.factors)
    codes = sampled(method, factors, count, seed=seed)
    if real_poses:
        rows = np.random.default_rng(seed).choice(np.unique(packed.pairs("train")), count)
        batch = replace(batch, target_joints=torch.from_numpy(packed.keypoints[rows]))
        codes = {factor: code for factor, code in codes.items() if factor != POSE}
    with torch.inference_mode():
        drawn = [
            to_levels(method.compose(_part(codes, rows), _rows_of(batch, rows)))
            for rows in np.array_split(np.arange(count), -(-count // 8))
        ]
    return list(torch.cat(drawn).permute(0, 2, 3, 1).numpy())


def _part(codes: dict[str, torch.Tensor], rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
    return {factor: code[torch.from_numpy(rows)] for factor, code in codes.items()}


def _rows_of(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    index = torch.from_numpy(rows)
    planes = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return replace(batch, **{name: value[index] for name, value in planes.items() if isinstance(value, torch.Tensor)})


def sampling(found: Settings) -> tuple[Table, dict[str, str], list[str]]:
    """How like people the invented ones are, by way of drawing them; a figure; the reading."""
    ways = {
        "VAE": draw(_method("dpig_vae"), SAMPLED, found.seed),
        "Whole body": draw(_method("dpig_whole"), SAMPLED, found.seed),
        "BodyROI7": draw(_method("dpig_seven"), SAMPLED, found.seed),
        "BodyROI7 with real pose": draw(_method("dpig_seven"), SAMPLED, found.seed, real_poses=True),
    }
    real = read_sight(HERE / "data" / "targets" / "source.npz")
    table: Table = {}
    detected = {}
    for way, pictures in ways.items():
        sight = look_here(pictures)
        of_set = score_set(sight, real)
        detected[way] = bootstrap_mean(sight.scores, [str(place) for place in range(SAMPLED)], draws=found.bootstrap)
        table[way] = {
            "detection score": cell(detected[way]),
            "IS on Lite0 (not IS)": of_set["is_lite0"],
            "Fréchet distance on Lite0 (not FID)": of_set["fd_lite0"],
        }
    table["real data"] = {
        "detection score": cell(bootstrap_mean(real.scores, [str(place) for place in range(len(real.scores))])),
        "IS on Lite0 (not IS)": score_set(real, real)["is_lite0"],
    }
    folder = HERE / "data" / "invented"
    folder.mkdir(parents=True, exist_ok=True)
    for way, pictures in ways.items():
        Image.fromarray(np.concatenate(pictures[:SHOWN], axis=1)).save(folder / f"{way}.png")
    name = plots.write_strips({way: folder / f"{way}.png" for way in ways}, "seed_003_sampled")
    told = [f"{way}: our pose network gives the invented people {said(value)}." for way, value in detected.items()]
    return table, {name: "People who do not exist"}, told


def reidentification(found: Settings) -> tuple[Table, list[str]]:
    """Rank-1 and mAP among held-out rendered people of networks that learned from nobody, invented people, and PUL."""
    packed = Pack(pack("source"))
    held_out, unlabelled = read_pack(packed, ("val", "test")), read_pack(packed, ("train",))
    settings = ReidSettings(epochs=EPOCHS, seed=found.seed)
    made = invented_people(_method("dpig_seven"), found.size.people, found.seed)
    embedders: dict[str, Embedder] = {"random weights": fresh(found.seed)}
    table: Table = {}
    scores = {"random weights": by_person(embedders["random weights"], held_out)}
    taught = learn(fresh(found.seed), made.images, made.persons, settings)
    scores["invented people (VM)"] = by_person(taught, held_out)
    clusters = len(set(unlabelled.persons))
    adapted = adapt(taught, unlabelled.images, clusters, settings)
    scores["invented people, then PUL"] = by_person(adapted, held_out)
    chosen, persons = believed(adapted, unlabelled.images, clusters, settings)
    if len(set(persons)) > 1:
        metric = kissme(adapted.features(unlabelled.images[chosen]), persons)
        scores["invented people, PUL, then KISSME"] = by_person(adapted, held_out, metric)
    labelled = learn(fresh(found.seed), unlabelled.images, unlabelled.persons, settings)
    scores["labelled training people (an upper mark)"] = by_person(labelled, held_out)
    means = {}
    for name, each in scores.items():
        means[name] = {
            what: bootstrap_mean(np.array([row[what] for row in each.values()]), list(each), draws=found.bootstrap)
            for what in ("rank1", "map")
        }
        table[name] = {"Rank-1": cell(means[name]["rank1"]), "mAP": cell(means[name]["map"])}
    floor, vm = scores["random weights"], scores["invented people (VM)"]
    gain = bootstrap_mean(
        np.array([vm[person]["map"] - floor[person]["map"] for person in vm]), list(vm), draws=found.bootstrap
    )
    words = "no clear gain over" if holds_zero(gain) else "better than" if gain.value > 0 else "worse than"
    told = [
        f"Invented people teach re-identification with an mAP of {said(means['invented people (VM)']['map'])}: {words} "
        f"random weights (difference {said(gain, signed=True)}); {len(vm)} held-out people, intervals over them.",
        "Published on Market-1501 (Rank-1, mAP; Ma et al. 2018): CUHK03 0.300, 0.115; Duke 0.361, 0.142; VM 0.338, "
        "0.134; with PUL 0.369, 0.156; with KISSME 0.375, 0.154. Other pictures and networks: no comparison.",
    ]
    return table, told


def invented_people(method: Dpig, people: int, seed: int) -> People:
    """`IMAGES` pictures of each of as many people: one foreground, backgrounds and poses at random."""
    images, persons = [], []
    who = sampled(method, [FOREGROUND], people, seed=seed)[FOREGROUND]
    others = [factor for factor in (BACKGROUND, POSE) if factor in method.factors]
    for person in range(people):
        codes = sampled(method, others, IMAGES, seed=seed + 1_000_003 * (person + 1))
        codes[FOREGROUND] = who[person : person + 1].expand(IMAGES, -1)
        with torch.inference_mode():
            drawn = to_levels(method.compose(codes, nobody(IMAGES, (256, 176))))
        small = torch.nn.functional.interpolate(drawn.float(), SIZE, mode="area").round().to(torch.uint8)
        images.append(small)
        persons += [f"{person:04d}"] * IMAGES
    return People(torch.cat(images), tuple(persons), tuple(map(str, range(len(persons)))))


def by_person(embedder: Embedder, people: People, metric_CK: torch.Tensor | None = None) -> dict[str, dict[str, float]]:
    """Rank-1 and mAP of the queries of each person, everybody being the gallery."""
    features = embedder.features(people.images)
    if metric_CK is not None:
        features = features @ metric_CK
    found = {}
    for person in sorted(set(people.persons)):
        rows = [row for row, name in enumerate(people.persons) if name == person]
        query = tuple(people.persons[row] for row in rows), tuple(people.cameras[row] for row in rows)
        found[person] = rank(features[rows], query, features, (people.persons, people.cameras))
    return found
