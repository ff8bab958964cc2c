"""What the test-time choices of `keypoints` and `parsing` cost and bring on a folder of annotated photographs.

    python -m benchmarks.photographs FOLDER [--crop columns] [--held-out 0.1]

FOLDER is what `ingest.source: folder` reads: pictures, an annotation, label maps where there are some. `--held-out 0.1`
takes only the photographs that the training of the shipped networks holds out. Shares of the annotated joints that are
found, and within 5 and 10 px; joints found where none is annotated, per picture; pixel accuracy and mean IoU of the
label maps. One process, one thread, time of the processor.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.people import print_table
from models.detectors import parsing, pose
from models.detectors.examples import HeldOut
from models.metrics.extraction import score_labels
from pipeline.crops import find_move
from pipeline.people import labels, skeleton
from pipeline.sources import folder
from pipeline.sources.entries import Options
from pipeline.sources.label_maps import decode_labels
from pipeline.sources.pictures import check_picture, load_picture
from stages.finding import Finding
from stages.parsing import Labelling

SIZE = (176, 256)
FINDINGS = {
    f"edges_px {list(edges_px)}{', flip_test' if flip_test else ''}": Finding(edges_px=edges_px, flip_test=flip_test)
    for edges_px in ((256,), (320,), (256, 320), (224, 256, 320))
    for flip_test in (False, True)
} | {"default, min_score 0.2": Finding(min_score=0.2)}
LABELLINGS = {
    f"edges_px {list(edges_px)}{', flip_test' if flip_test else ''}": Labelling(edges_px=edges_px, flip_test=flip_test)
    for edges_px in ((256,), (256, 320))
    for flip_test in (False, True)
}


@dataclass(frozen=True)
class Photographs:
    images: list[NDArray[np.uint8]]
    joints: NDArray[np.float32]  # (N, 18, 3)
    labels: list[labels.LabelMap | None]


def read(raw: Path, crop: str, held_out: float, vocabulary: str = "ours") -> Photographs:
    source = folder.read(raw, Options())
    entries = [entry for entry in source.entries if entry.id in source.annotations]
    entries = [each for each in entries if held_out >= 1 or f"{raw.name}/{each.id}" in HeldOut(held_out)]
    images, joints, maps = [], [], []
    for entry in entries:
        picture = check_picture(load_picture(raw, entry.path), min_size_px=1, max_pixels=10**8)
        size = picture.shape[1], picture.shape[0]
        move = find_move(crop, size, SIZE)
        images.append(move.picture(picture))
        joints.append(move.joints(source.annotations[entry.id]))
        path = source.label_paths.get(entry.id)
        data = load_picture(raw, path) if path else b""
        maps.append(move.labels(decode_labels(data, path, vocabulary=vocabulary, size=size)) if path else None)
    return Photographs(images, np.stack(joints), maps)


def score_finding(finding: Finding, photographs: Photographs) -> list[str]:
    detector = finding.detector(pose.SHIPPED)
    start = time.process_time()
    people = detector.detect(photographs.images)
    rate = len(people) / (time.process_time() - start)
    chosen = [finding.choose(found, image)[0] for found, image in zip(people, photographs.images, strict=True)]
    found = np.stack([skeleton.empty() if person is None else finding.joints(person) for person in chosen])
    true, there = skeleton.is_present(photographs.joints), skeleton.is_present(found)
    away = np.linalg.norm(found[..., :2] - photographs.joints[..., :2], axis=-1)
    shares = [(there & (away <= limit))[true].mean() for limit in (np.inf, 5, 10)]
    extra = (there & ~true).sum() / len(found)
    return [*(f"{share:.3f}" for share in shares), f"{extra:.2f}", f"{rate:.1f}"]


def score_labelling(labelling: Labelling, photographs: Photographs) -> list[str]:
    kept = [index for index, each in enumerate(photographs.labels) if each is not None]
    parser = labelling.parser(parsing.SHIPPED)
    start = time.process_time()
    maps = parser.parse([photographs.images[index] for index in kept])
    rate = len(kept) / (time.process_time() - start)
    true = [photographs.labels[index] for index in kept]
    accuracy = np.mean([(ours == theirs).mean() for ours, theirs in zip(maps, true, strict=True)])
    scores = score_labels(maps, true, [str(index) for index in kept])
    classes = " ".join(f"{scores.get(f'iou_{name}', float('nan')):.2f}" for name in labels.LABELS)
    return [f"{accuracy:.3f}", f"{scores['value']:.3f}", classes, f"{rate:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crop", default="resize", choices=("columns", "resize", "pad"))
    parser.add_argument("--held-out", type=float, default=1.0, metavar="SHARE")
    args = parser.parse_args()
    photographs = read(args.folder, args.crop, args.held_out)
    print(f"{len(photographs.images)} photographs of {args.folder.name}")
    rows = [[name, *score_finding(finding, photographs)] for name, finding in FINDINGS.items()]
    print_table(["key points", "found", "within 5 px", "within 10 px", "extra", "pictures/s"], rows)
    if any(each is not None for each in photographs.labels):
        rows = [[name, *score_labelling(labelling, photographs)] for name, labelling in LABELLINGS.items()]
        print_table(["label maps", "accuracy", "mIoU", " ".join(labels.LABELS), "pictures/s"], rows)


if __name__ == "__main__":
    main()
