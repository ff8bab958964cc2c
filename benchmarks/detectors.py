"""Pictures a second through the two networks on all cores, as the stages run them, against their usual programs.

    python -m benchmarks.detectors [--pictures 96]

Key points: at least 1.5 times openpifpaf's own `predict` command, same weights, pictures and thresholds, with the same
joints. The command runs as it is, with its defaults, and writes its JSON; only its way to load a checkpoint is
replaced, since ours is no pickle. Label maps: at least 1.5 times a plain loop, one picture at a time, torch's threads.
Wall time from the first quarter of the pictures to the last picture, so starting and loading are in neither.
Joints are compared where ours needs no second look; the command prints 1/100 px, ours are rounded to 1/64 px.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.people import HEIGHT, WIDTH, people, print_table
from models.detectors import parsing, pose, storage
from pipeline.engine import Engine, Item, Results, Worker, map_items
from pipeline.memo import Memo, Outputs
from pipeline.people import skeleton
from pipeline.pictures import decode, encode_png
from stages import keypoints
from stages import parsing as parsing_stage
from stages.finding import Finding

# Half a step of each rounding.
ROUNDING_PX = 0.005 + 0.5 / pose.GRID_PX + 1e-3

_PREDICT = """
import openpifpaf
from models.detectors import pose
network = pose._load(pose.SHIPPED, ())
openpifpaf.network.Factory.from_checkpoint = lambda self: (network, 0)
from openpifpaf import predict
predict.main()
"""


class TimedMemo(Memo):
    """A memo that notes when how many items came."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.times: list[float] = []

    def put(self, entries: Mapping[bytes, Outputs]) -> None:
        super().put(entries)
        self.times += [time.time()] * len(entries)


def rate(times: list[float]) -> float:
    """Items a second after the first quarter."""
    times = sorted(times)
    first = len(times) // 4
    return (len(times) - 1 - first) / (times[-1] - times[first])


def through_stage(folder: Path, items: list[Item], make_worker: Callable[[], Worker]) -> tuple[float, Results]:
    memo = TimedMemo(folder / f"{time.time_ns()}.sqlite")
    batch = keypoints.BATCH
    results = map_items(
        items, make_worker, memo=memo, fingerprint=b"", engine=Engine("processes"), title="ours", batch=batch
    )
    return rate(memo.times), results


def by_command(folder: Path, items: list[Item]) -> tuple[float, dict[str, list[NDArray[np.float32]]]]:
    """Rate of the `predict` command, and the (18, 3) joints of everybody it found, by picture."""
    (folder / "pictures").mkdir()
    (folder / "found").mkdir()
    paths = [folder / "pictures" / f"{item.id}.png" for item in items]
    for path, item in zip(paths, items, strict=True):
        path.write_bytes(item.inputs[0])
    wanted = pose.Decoding()
    options = [f"--{field.name.replace('_', '-')}={getattr(wanted, field.name)}" for field in fields(wanted)]
    command = [sys.executable, "-c", _PREDICT, "--checkpoint=ours", "--disable-cuda", *options]
    command += [f"--json-output={folder / 'found'}", *map(str, paths)]
    subprocess.run(command, check=True, capture_output=True)
    written = sorted((folder / "found").glob("*.json"))
    found = {path.name.partition(".")[0]: _people(json.loads(path.read_text())) for path in written}
    return rate([path.stat().st_mtime for path in written]), found


def _people(annotations: list[dict[str, list[float]]]) -> list[NDArray[np.float32]]:
    joints = [skeleton.from_coco17(np.array(person["keypoints"]).reshape(17, 3)) for person in annotations]
    # Joints outside the picture count as missing, as they do with us.
    return [skeleton.move(each, offset=(0, 0), scale=(1, 1), size=(WIDTH, HEIGHT)) for each in joints]


def count_same(items: list[Item], ours: Results, theirs: dict[str, list[NDArray[np.float32]]]) -> str:
    """In how many of the pictures without a second look all joints are the same."""
    detector = pose.PoseDetector()
    same = compared = 0
    for item in items:
        people = detector._look([decode(item.inputs[0])], detector.decoding)[0]
        if item.id in ours.keys and people and people[0].score >= pose.CERTAIN_SCORE:
            joints = np.frombuffer(ours[item.id]["joints"], "<f4").reshape(-1, 3)
            compared += 1
            same += any(np.abs(joints - other)[:, :2].max() < ROUNDING_PX for other in theirs[item.id])
    return f"{same} of {compared}"


def by_loop(items: list[Item]) -> float:
    """Rate of a plain loop over pictures: the same network, a batch of one."""
    tensors, description = storage.read(parsing.SHIPPED)
    network = parsing.build(description).eval()
    network.load_state_dict(tensors)
    times = []
    with torch.inference_mode():
        for item in items:
            pixels = torch.from_numpy(decode(item.inputs[0])).permute(2, 0, 1)[None].float()
            x = (pixels - 127) / 128
            found = parsing.scores_of(network, x, description["reduce"]).argmax(1)[0].byte().numpy()
            _ = Image.fromarray(found).tobytes()
            times.append(time.time())
    return rate(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=96)
    items = [Item(p.id, (encode_png(p.image),)) for p in people(parser.parse_args().pictures)]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer, theirs = by_command(folder, items)
        rows.append(["key points: openpifpaf predict", f"{peer:.1f}", "1.00", ""])
        for precision in pose.PRECISIONS:
            accept = keypoints.Accept(6, 99, Finding(precision=precision))
            worker = partial(keypoints.make_worker, pose.SHIPPED, accept)
            ours, results = through_stage(folder, items, worker)
            same = count_same(items, results, theirs)
            rows.append([f"key points: stage, {precision}", f"{ours:.1f}", f"{ours / peer:.2f}", same])
        peer = by_loop(items)
        rows.append(["labels: plain loop", f"{peer:.1f}", "1.00", ""])
        for precision in parsing.PRECISIONS:
            labelling = parsing_stage.Labelling(precision=precision)
            worker = partial(parsing_stage.make_worker, parsing.SHIPPED, labelling, 0.0)
            ours, _ = through_stage(folder, items, worker)
            rows.append([f"labels: stage, {precision}", f"{ours:.1f}", f"{ours / peer:.2f}", ""])
    print_table(["", "pictures/s", "ratio", "same joints"], rows)


if __name__ == "__main__":
    main()
