"""Both detectors on any folder of pictures: what `posewright detect` finds there, and how it is written.

What comes out is a raw folder again (`ingest.source: folder`): images/, labels8/ and annotation.csv; beside them where
each picture came from (pictures.csv), what could not be read (quarantine.csv), and a contact sheet.
"""

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from pipeline import quarantine
from pipeline.content import digest
from pipeline.crops import Move, Whole
from pipeline.engine import Engine, Item, Result, Results, map_items
from pipeline.errors import BadItem, UserError
from pipeline.exports.lists import annotation_csv
from pipeline.imports import code_of
from pipeline.memo import Memo
from pipeline.people import labels, skeleton
from pipeline.pictures import Bytes, decode, encode_png
from pipeline.sources.contents import find_contents
from pipeline.sources.pictures import check_picture
from stages import sheets
from stages.drawing import beside, draw_labels, draw_skeleton
from stages.looks import Looker, Recipe, Seen
from stages.pictures_in import find_pictures

# Pictures are looked at so many at a time; what is found in one does not depend on the others.
BATCH = 8
# Finished work of a run that is not at its end yet.
UNFINISHED = ".unfinished"
COLUMNS = ("name", "source", "crop", "joints", "score", "others", "left", "top", "scale_x", "scale_y")
_TILE_PX = 384


@dataclass(frozen=True)
class Summary:
    """How many pictures were read, in how many of them nobody was found, and how many files were set aside."""

    pictures: int
    empty: int
    set_aside: int
    ignored: int


class Detect:
    """A worker: files in; picture, label map and what is known of them out. The networks are loaded once."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.looker, self.padder = recipe, Looker(recipe), Looker(replace(recipe, crop="pad"))

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """`{"image": PNG, "labels": PNG, "joints": 54 float32, "facts": JSON}` for each file."""
        opened = [self._open(item) for item in items]
        good = [each for each in opened if not isinstance(each, BadItem)]
        seen = iter(self.looker.see([image for image, *_ in good]) if good else [])
        return [each if isinstance(each, BadItem) else self._outputs(*each, next(seen)) for each in opened]

    def _open(self, item: Item) -> tuple[Bytes, Move, dict[str, Any]] | BadItem:
        """The picture as the networks see it, and how it came to be."""
        try:
            picture = check_picture(item.inputs[0], min_size_px=1, max_pixels=self.recipe.max_pixels)
        except BadItem as bad:
            return bad
        mode = self.recipe.crop_of(picture)
        try:
            move, others = self.looker.cut(picture)
        except BadItem:  # nobody to cut out, or a size that the mode does not take: all of it is better than nothing
            mode, (move, others) = "pad", self.padder.cut(picture)
        (left, top), (scale_x, scale_y) = move.offset, move.scale
        facts = {"crop": mode, "others": others, "left": left, "top": top, "scale_x": scale_x, "scale_y": scale_y}
        return move.picture(picture), move, facts

    def _outputs(self, image: Bytes, move: Move, facts: dict[str, Any], seen: Seen) -> dict[str, bytes]:
        joints = skeleton.empty() if seen.person is None else self.recipe.finding.joints(seen.person)
        joints = _within(joints, move.filled)
        facts |= {
            "joints": int(skeleton.is_present(joints).sum()),
            "score": seen.person.score if seen.person else 0.0,
            "others": max(facts["others"], seen.others),
        }
        return {
            "image": encode_png(image),
            "labels": labels.to_png(seen.labels),
            "joints": joints.astype("<f4").tobytes(),
            "facts": json.dumps(facts).encode(),
        }


def _within(joints: skeleton.Joints, filled: Whole) -> skeleton.Joints:
    """The joints that lie where the original is, not in what was added around it."""
    place, (left, top, right, bottom) = joints[:, :2] + 0.5, filled
    is_there = np.all((place >= (left, top)) & (place <= (right, bottom)), axis=1, keepdims=True)
    return skeleton.drop_missing(np.where(is_there, joints, np.float32(-1)))


def detect(folder: Path, out: Path, recipe: Recipe, *, workers: int = 0) -> Summary:
    """Look at every picture below `folder` and write what is found below `out`, which must be new or empty.

    A run that was stopped goes on where it was. UserError names what is wrong with the folders.
    """
    _check_folders(folder, out)
    found = find_pictures(folder, without=out)
    if not found.paths and not found.set_aside:
        raise UserError(f"{folder}: no picture in it ({found.ignored} other files); give a folder that has some")
    memo = Memo(out / UNFINISHED)
    contents = find_contents(folder, found.paths.values(), memo)
    good = {stem: content for stem in found.paths if not isinstance(content := contents[found.paths[stem]], BadItem)}
    weights = [recipe.pose_weights.read_bytes(), recipe.parsing_weights.read_bytes()]
    results = map_items(
        (Item(stem, (content,)) for stem, content in good.items()),
        partial(Detect, recipe),
        memo=memo,
        fingerprint=digest([code_of("stages.detection"), repr(recipe).encode(), *weights]),
        engine=Engine("processes", workers),
        title="detect",
        batch=BATCH,
        total=len(good),
    )
    unread = [(path, str(content)) for path, content in contents.items() if isinstance(content, BadItem)]
    unread += [(found.paths[stem], reason) for stem, reason in results.set_aside]
    empty = _write(out, results, found.paths)
    quarantine.write(out / "quarantine.csv", found.set_aside + unread)
    memo.close()
    shutil.rmtree(out / UNFINISHED)
    return Summary(len(results), empty, len(found.set_aside + unread), found.ignored)


def _check_folders(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; give one with pictures in it")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; give the name of a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / UNFINISHED).is_dir():
        raise UserError(f"--out {out}: holds files, which may be yours; give a new folder, or empty this one")


def _write(out: Path, results: Results, paths: Mapping[str, str]) -> int:
    """Write all that was found, the tables last; the number of pictures in which nobody was found."""
    rows, found, empty = [], [], 0
    shown = sheets.choose(results.keys)
    tiles = []
    for stem in results.keys:  # sorted
        outputs = results[stem]
        for folder, kind in (("images", "image"), ("labels8", "labels")):
            _write_file(out / folder / f"{stem}.png", outputs[kind])
        facts = json.loads(outputs["facts"])
        joints = np.frombuffer(outputs["joints"], "<f4").reshape(-1, 3)
        name = f"{stem}{PurePosixPath(paths[stem]).suffix}"
        found.append((name, joints))
        rows.append({"name": name, "source": paths[stem]} | facts)
        empty += not facts["joints"]
        if stem in shown:
            tiles.append(_tile(stem, outputs, joints))
    _write_file(out / "pictures.csv", _table(rows))
    _write_file(out / "annotation.csv", annotation_csv(found))
    section = sheets.Section(tiles, "skeleton · labels", columns=6, legend=sheets.SIDES + sheets.CLASSES)
    subtitle = f"{len(shown)} of {len(results)} pictures, nobody in {empty} of them"
    sheets.write_sheet(out / "sheet.png", "posewright detect", [section], subtitle=subtitle, max_bytes=5_000_000)
    return empty


def _table(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()})
    return buffer.getvalue().encode()


def _tile(stem: str, outputs: Mapping[str, bytes], joints: skeleton.Joints) -> sheets.Tile:
    """The picture with its skeleton beside the picture with its labels, small enough for a sheet."""
    image, parsed = decode(outputs["image"]), labels.from_png(outputs["labels"])
    height, width = parsed.shape
    if (scale := _TILE_PX / max(height, width)) < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        parsed = np.asarray(Image.fromarray(parsed).resize(size, Image.Resampling.NEAREST))
        joints = skeleton.move(joints, offset=(0, 0), scale=(size[0] / width, size[1] / height), size=size)
    count = int(skeleton.is_present(joints).sum())
    return sheets.Tile(beside(draw_skeleton(image, joints), draw_labels(parsed, image)), f"{stem} · {count}/18")


def _write_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.part")
    partial_path.write_bytes(data)
    partial_path.replace(path)
