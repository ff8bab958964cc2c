"""What one more picture costs: the data stages from nothing, and again with one picture added.

    python benchmarks/incremental.py [--pictures 500 1000 2000] [--archive] [--size 44 64]
    python benchmarks/incremental.py --rendered [--pictures 500 1000 2000]

Each run clones the project into a temporary folder, makes that many small pictures with joints beside them, and times
`dvc repro pack@source` from nothing, with nothing changed, and with one picture added. The parser sees them at its
smallest, 32 pixels: what is measured is what stands around the networks, their loading for one picture included.
`--archive` puts the pictures into one zip that is read in place. With `--rendered` they are the embedded people at full
size, joints and label maps come from the networks as shipped, and the time of rendering is measured too.
"""

import argparse
import io
import os
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
POSES = 5
FIGURE_POSES = 6


def make_picture(number: int, size: tuple[int, int]) -> tuple[bytes, str]:
    """(JPEG, annotation line) of a coloured figure of blocks."""
    width, height = size
    dice = np.random.default_rng(number)
    parts = np.zeros((height, width), np.uint8)
    left = int(dice.integers(2, width // 2))
    for part, (top, bottom) in {2: (0.1, 0.25), 3: (0.25, 0.6), 4: (0.6, 0.95)}.items():
        parts[int(top * height) : int(bottom * height), left : left + width // 3] = part
    jpeg = io.BytesIO()
    Image.fromarray(dice.integers(0, 256, (8, 3), np.uint8)[parts]).save(jpeg, "JPEG", quality=90)
    ys = [int(y) for y in dice.integers(0, height, 18)]
    xs = [int(x) for x in dice.integers(0, width, 18)]
    return jpeg.getvalue(), f"{name_of(number)}.jpg: {ys}: {xs}"


def name_of(number: int) -> str:
    return f"p{number // POSES:06d}_{number % POSES}"


def files_of(numbers: range, size: tuple[int, int]) -> Iterator[tuple[str, bytes]]:
    lines = ["name:keypoints_y:keypoints_x"]
    for number in numbers:
        jpeg, line = make_picture(number, size)
        lines.append(line)
        yield f"{name_of(number)}.jpg", jpeg
    yield "annotation.csv", ("\n".join(lines) + "\n").encode()


def write_raw(raw: Path, count: int, size: tuple[int, int], *, archive: bool) -> Path:
    """Write the raw pictures, or add the last one to them; the path for `domains.source.raw`."""
    if archive:
        path = raw.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in files_of(range(count), size):
                packed.writestr(zipfile.ZipInfo(name), data)
        return path
    is_new = not raw.is_dir()
    raw.mkdir(parents=True, exist_ok=True)
    for name, data in files_of(range(count), size):
        if is_new or name == "annotation.csv" or not (raw / name).exists():
            (raw / name).write_bytes(data)
    return raw


def repro(project: Path, stage: str = "pack@source") -> float:
    """Seconds of `dvc repro` up to a stage."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    run = subprocess.run(
        ["dvc", "repro", stage], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    return time.perf_counter() - start


def clone(folder: Path) -> Path:
    project = folder / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    return project


def set_up(folder: Path, raw: Path, size: tuple[int, int]) -> Path:
    project = clone(folder)
    yaml = YAML()
    params = yaml.load((project / "params.yaml").read_text())
    source = params["domains"]["source"]
    source["raw"], source["ingest"]["source"], source["ingest"]["min_size_px"] = str(raw), "folder", 32
    source["parsing"] |= {"edges_px": [32], "flip_test": False, "min_person": 0.0}
    for domain in params["domains"].values():
        domain["crop"]["width"], domain["crop"]["height"] = size
    with (project / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    return project


def measure(count: int, size: tuple[int, int], *, archive: bool) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        raw = write_raw(folder / "raw", count, size, archive=archive)
        project = set_up(folder, raw, size)
        whole = repro(project)
        nothing = repro(project)
        write_raw(folder / "raw", count + 1, size, archive=archive)
        return whole, nothing, repro(project)


def measure_rendered(count: int) -> tuple[float, float, float, float]:
    """Seconds of rendering, of everything up to the pack, of no change and of one picture added."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project, raw = clone(folder), folder / "raw"
        _change(project, figures={"people": -(-(count + 1) // FIGURE_POSES), "poses": FIGURE_POSES})
        rendering = repro(project, "figures@source")
        raw.mkdir()
        for shard in sorted((project / "data/figures/source/images").glob("*.tar")):
            with tarfile.open(shard) as tar:
                tar.extractall(raw, filter="data")
        names = sorted(raw.iterdir())
        for surplus in names[count + 1 :]:
            surplus.unlink()
        last = names[count].rename(folder / names[count].name)
        _change(project, raw=str(raw), ingest={"source": "folder"})
        whole, nothing = repro(project), repro(project)
        last.rename(raw / last.name)
        return rendering, whole, nothing, repro(project)


def _change(project: Path, **sections: Any) -> None:
    """Set keys of `domains.source`."""
    yaml = YAML()
    params = yaml.load((project / "params.yaml").read_text())
    for key, value in sections.items():
        if isinstance(value, dict):
            params["domains"]["source"][key] |= value
        else:
            params["domains"]["source"][key] = value
    with (project / "params.yaml").open("w") as file:
        yaml.dump(params, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--archive", action="store_true", help="one zip instead of loose files")
    parser.add_argument("--size", type=int, nargs=2, default=(44, 64), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--rendered", action="store_true", help="rendered people and the shipped networks")
    options = parser.parse_args()
    if options.rendered:
        heads = ("pictures", "rendering", "from nothing", "no change", "one added", "share", "with rendering")
        print(" ".join(f"{head:>14}" for head in heads))
        for count in options.pictures:
            rendering, whole, nothing, added = measure_rendered(count)
            seconds = (f"{value:.1f} s" for value in (rendering, whole, nothing, added))
            shares = f"1/{whole / added:.0f}", f"1/{(whole + rendering) / added:.0f}"
            print(" ".join(f"{cell:>14}" for cell in (count, *seconds, *shares)), flush=True)
        return
    print(f"{'pictures':>9} {'from nothing':>13} {'no change':>10} {'one added':>10} {'share':>7}")
    for count in options.pictures:
        whole, nothing, added = measure(count, tuple(options.size), archive=options.archive)
        print(f"{count:9,} {whole:11.1f} s {nothing:8.1f} s {added:8.1f} s {added / whole:7.3f}", flush=True)


if __name__ == "__main__":
    main()
