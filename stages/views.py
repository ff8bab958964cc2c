"""One picture as a stage's artifact knows it, and the sheet that shows it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline import quarantine
from pipeline.errors import UserError
from pipeline.packed import SPLITS, Pack
from pipeline.people import heatmaps, labels
from pipeline.people.skeleton import Joints, is_present
from pipeline.pictures import decode, decode_grey
from pipeline.shards import ShardReader
from stages import artifacts
from stages.drawing import Bytes, draw_labels, draw_mask, draw_skeleton
from stages.sheets import CLASSES, SIDES, Section, Tile, heat_maps

# In the order in which a picture passes them.
STAGES = ("ingest", "crop", "keypoints", "parsing", "edges", "pairs", "pack")
_TILE_HEIGHT_PX = 384


@dataclass(frozen=True)
class View:
    """What is known about one picture; None where the stage does not have it."""

    name: str
    image: Bytes
    joints: Joints | None = None
    heatmaps: Bytes | None = None
    labels: Bytes | None = None
    edges: Bytes | None = None
    mask: Bytes | None = None
    note: str = ""


def read_view(stage: str, domain: str, wanted: str, *, sigma_px: float) -> View:
    """The picture that `wanted` names, as the artifact of `stage` has it; UserError if either is not there."""
    readers = {"crop": _read_crop, "parsing": _read_parsing, "edges": _read_edges, "pack": _read_pack}
    if stage == "keypoints":
        return _read_keypoints(domain, wanted, sigma_px)
    return readers[stage](domain, wanted)


def _read_crop(domain: str, wanted: str) -> View:
    images, maps = _shards("crop", domain, "images"), _shards("crop", domain, "labels")
    name = match_name(wanted, images, "crop", domain)
    annotation = artifacts.artifact("crop", domain, "annotation.parquet")
    joints = artifacts.read_keypoints(_existing(annotation, "crop", domain)).get(name)
    return View(name, decode(images[name]), joints, labels=labels.from_png(maps[name]) if name in maps else None)


def _read_keypoints(domain: str, wanted: str, sigma_px: float) -> View:
    path = _existing(artifacts.artifact("keypoints", domain, "keypoints.parquet"), "keypoints", domain)
    known = artifacts.read_keypoints(path)
    name = match_name(wanted, known, "keypoints", domain)
    image, joints = decode(_shards("crop", domain, "images")[name]), known[name]
    maps = heatmaps.render(joints, width=image.shape[1], height=image.shape[0], sigma_px=sigma_px)
    note = f" · {int(is_present(joints).sum())} of {len(joints)} joints"
    return View(name, image, joints, heatmaps.to_uint8(maps), note=note)


def _read_parsing(domain: str, wanted: str) -> View:
    maps = _shards("parsing", domain, "labels")
    name = match_name(wanted, maps, "parsing", domain)
    labels_HW = labels.from_png(maps[name])
    note = f" · the person covers {100 * np.mean(labels_HW != labels.BACKGROUND):.0f} %"
    return View(name, decode(_shards("crop", domain, "images")[name]), labels=labels_HW, note=note)


def _read_edges(domain: str, wanted: str) -> View:
    maps = _shards("edges", domain, "edges")
    name = match_name(wanted, maps, "edges", domain)
    return View(name, decode(_shards("crop", domain, "images")[name]), edges=decode_grey(maps[name]))


def _read_pack(domain: str, wanted: str) -> View:
    pack = Pack(_existing(artifacts.pack(domain), "pack", domain))
    name = match_name(wanted, pack.names, "pack", domain)
    row = pack.names.index(name)
    counts = ", ".join(f"{int((pack.pairs(split) == row).any(axis=1).sum())} {split}" for split in SPLITS)
    return View(
        name,
        pack.image(row),
        pack.keypoints[row],
        pack.heatmaps(row),
        pack.parsing(row),
        pack.edges(row),
        pack.mask(row),
        note=f" · person {pack.persons[row]} · in pairs: {counts}",
    )


def make_sections(view: View) -> list[Section]:
    """The picture with everything over it, large, then the heat maps."""
    scale = _TILE_HEIGHT_PX / view.image.shape[0]
    tiles = [Tile(view.image, "picture")]
    if view.joints is not None:
        tiles.append(Tile(draw_skeleton(view.image, view.joints, scale=scale), "skeleton (hollow: unsure)"))
    if view.labels is not None:
        tiles.append(Tile(draw_labels(view.labels), "label map"))
        tiles.append(Tile(draw_labels(view.labels, view.image, opacity=0.55), "label map over the picture"))
    if view.edges is not None:
        tiles.append(Tile(view.edges, "edges"))
    if view.mask is not None:
        tiles.append(Tile(draw_mask(view.image, view.mask), "body mask"))
    legend = (SIDES if view.joints is not None else ()) + (CLASSES if view.labels is not None else ())
    sections = [Section(tiles, columns=6, tile_height_px=_TILE_HEIGHT_PX, legend=legend)]
    if view.heatmaps is not None:
        heats = heat_maps(view.image, view.heatmaps, "Heat maps, with the score of each joint", view.joints)
        sections.append(replace(heats, tile_height_px=240))
    return sections


def match_name(wanted: str, names: Collection[str], stage: str, domain: str) -> str:
    """The one name that `wanted` is or begins; UserError shows near ones, or why the picture was set aside."""
    for exact in (wanted, _stem(wanted)):
        if exact in names:
            return exact
    longer = sorted(name for name in names if name.startswith(wanted))
    if len(longer) == 1:
        return longer[0]
    if longer:
        raise UserError(f"--item {wanted}: {len(longer)} names begin so: {_listed(longer)}; give more of it")
    for earlier in STAGES[: STAGES.index(stage) + 1]:
        path = artifacts.artifact(earlier, domain, "quarantine.csv")
        for name, reason in quarantine.read(path) if path.is_file() else ():
            if _stem(wanted) in (name, _stem(name)):
                raise UserError(f"--item {wanted}: {earlier}@{domain} set this picture aside: {reason}")
    near = get_close_matches(wanted, names, n=5, cutoff=0.5) or sorted(name for name in names if wanted in name)
    hint = f"did you mean {_listed(near)}?" if near else f"it has {len(names)}: {_listed(sorted(names))}"
    raise UserError(f"--item {wanted}: {stage}@{domain} has no such picture; {hint}")


def _stem(name: str) -> str:
    return str(Path(name).with_suffix("")) if Path(name).suffix else name


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:6]) + (", ..." if len(shown) > 6 else "")


def _shards(stage: str, domain: str, name: str) -> ShardReader:
    return ShardReader(_existing(artifacts.artifact(stage, domain, name), stage, domain))


def _existing(path: Path, stage: str, domain: str) -> Path:
    if not path.exists():
        raise UserError(f"{path} is not there yet: `dvc repro {stage}@{domain}` makes it")
    return path
