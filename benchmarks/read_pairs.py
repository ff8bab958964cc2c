"""Random training pairs a second from a pack, against what the field reads: everything as files.

    python benchmarks/read_pairs.py [--pictures 400] [--seconds 4]

Both sides hold the same pictures and hand back the same: two pictures, two label maps, key points or 18 heat maps.
One process, one thread, warm page cache. The peers: a PNG, a .npy label map and a float32 .npy of heat maps for each
picture, and an HDF5 file with the compression and chunks that a tutorial would choose (gzip, chunks left to h5py).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

from pipeline.packed import Pack, Picture, write_pack
from pipeline.people import heatmaps
from pipeline.pictures import decode, encode_png

WIDTH, HEIGHT = 176, 256


def make_pictures(count: int) -> Iterator[Picture]:
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    for row in range(count):
        wave = np.stack([np.sin(x / rng.uniform(5, 40) + y / rng.uniform(5, 40)) for _ in range(3)], -1)
        image = np.clip(127 + 90 * wave + rng.normal(0, 4, wave.shape), 0, 255).astype(np.uint8)
        joints = np.ones((18, 3), np.float32)
        joints[:, :2] = rng.uniform(0, [WIDTH - 1, HEIGHT - 1], (18, 2))
        maps = heatmaps.to_uint8(heatmaps.render(joints, width=WIDTH, height=HEIGHT))
        labels = ((x // 22 + y // 32) % 8).astype(np.uint8)
        yield Picture(f"p{row}", f"p{row}", image, joints, maps, labels, (labels > 0).astype(np.uint8), image[..., 0])


def write_files(folder: Path, picture: Picture) -> None:
    (folder / f"{picture.name}.png").write_bytes(encode_png(picture.image))
    np.save(folder / f"{picture.name}.labels.npy", picture.parsing)
    np.save(folder / f"{picture.name}.maps.npy", picture.heatmaps.astype(np.float32) / 255)


def pairs_per_second(read: Callable[[int], object], count: int, seconds: float) -> float:
    rng = np.random.default_rng(1)
    start, pairs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for row in rng.integers(0, count, 2):
            read(int(row))
        pairs += 1
    return pairs / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), options.pictures
        write_pack(
            folder / "a.h5",
            make_pictures(count),
            count=count,
            pairs={},
            size=(WIDTH, HEIGHT),
            sigma_px=6.0,
            source="figures",
        )
        pack = Pack(folder / "a.h5")
        for picture in make_pictures(count):
            write_files(folder, picture)
        with h5py.File(folder / "tutorial.h5", "w") as file:
            images = np.stack([pack.image(row) for row in range(count)])
            file.create_dataset("images", data=images, compression="gzip")
            file.create_dataset(
                "parsing", data=np.stack([pack.parsing(row) for row in range(count)]), compression="gzip"
            )
        tutorial = h5py.File(folder / "tutorial.h5")
        readers: dict[str, Callable[[int], object]] = {
            "files: png, npy labels, float32 npy heat maps": lambda row: (
                decode((folder / f"p{row}.png").read_bytes()),
                np.load(folder / f"p{row}.labels.npy"),
                np.load(folder / f"p{row}.maps.npy"),
            ),
            "HDF5, automatic chunks, gzip; key points": lambda row: (tutorial["images"][row], tutorial["parsing"][row]),
            "pack, stored heat maps": lambda row: (pack.image(row), pack.parsing(row), pack.heatmaps(row)),
            "pack, key points (heat maps drawn on the device)": lambda row: (
                pack.image(row),
                pack.parsing(row),
                pack.keypoints[row],
            ),
        }
        rates = {label: pairs_per_second(read, count, options.seconds) for label, read in readers.items()}
    peer = next(iter(rates.values()))
    for label, rate in rates.items():
        print(f"{rate:10.1f} pairs/s  {rate / peer:7.2f}x  {label}")


if __name__ == "__main__":
    main()
