"""Training pairs a second from the pack, against the layouts that the field reads.

    python -m benchmarks.loading [--pictures 300] [--seconds 3]

Everything hands back batches of pairs as torch tensors: two pictures, their joints or heat maps, two label maps.
`float32` is the field's usual layout: a JPEG, a PNG of labels and one 18x256x176 float32 .npy of heat maps for each
picture. `uint8` is what PATN and ADGAN ship: a JPEG, an .npy of labels, and the maps as uint8. Both normalise pictures
in the loader, as their programs do. Ours is `models.data.Pairs` on a pack with everything stored, without and with the
body mask that only our training reads (the other rows have none); heat maps are drawn
after collation, on the device, or by the loader (`full maps`), in 255 levels or as float32.
Wanted, per CPU second and with 2 workers: 40 and 12 times float32, 8 and 2.5 with full maps; 20 and 9 times uint8; 18
times fewer bytes. The rows of one round take turns, so that all see the same load of the machine.
"""

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.people import HEIGHT, WIDTH, Person, people, print_table
from models.data import Draws, Pairs
from pipeline.packed import Pack, Picture, write_pack
from pipeline.people import edges, heatmaps, labels
from pipeline.people.masks import body_mask

BATCH = 16
SIZE = {"width": WIDTH, "height": HEIGHT}
Tensors = dict[str, torch.Tensor]


def as_row(person: Person) -> Picture:
    return Picture(
        name=person.id,
        person=person.id,
        image=person.image,
        keypoints=person.joints,
        heatmaps=heatmaps.render_uint8(person.joints, **SIZE, sigma_px=6.0),
        parsing=person.labels,
        mask=body_mask(person.joints, **SIZE),
        edges=edges.draw_edges(person.image),
    )


def write_files(folder: Path, person: Person) -> None:
    """One picture in both layouts of the field."""
    jpeg = io.BytesIO()
    Image.fromarray(person.image).save(jpeg, "JPEG", quality=95)
    maps = heatmaps.render(person.joints, **SIZE)
    for layout in ("float32", "uint8"):
        (folder / layout).mkdir(exist_ok=True)
        (folder / layout / f"{person.id}.jpg").write_bytes(jpeg.getvalue())
    (folder / "float32" / f"{person.id}.png").write_bytes(labels.to_png(person.labels))
    np.save(folder / "float32" / f"{person.id}.npy", maps)
    np.save(folder / "uint8" / f"{person.id}.labels.npy", person.labels)
    # Their program fills an array of (H, W, 18) uint8 with values 0..1.
    np.save(folder / "uint8" / f"{person.id}.npy", maps.astype(np.uint8).transpose(1, 2, 0).copy())


def _picture(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    return pixels.float().div(255).sub(0.5).div(0.5)


class Float32Files(Dataset[Tensors]):
    """The field's usual layout."""

    def __init__(self, folder: Path, ids: list[str], rows: np.ndarray) -> None:
        self.folder, self.ids, self.rows = folder, ids, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, draw: Any) -> Tensors:
        sample = {}
        for side, row in zip(("source", "target"), self.rows[draw.pair], strict=True):
            for key, value in self._read(self.folder / self.ids[row]).items():
                sample[f"{side}_{key}"] = value
        return sample

    def _read(self, stem: Path) -> Tensors:
        parsing = labels.from_png(stem.with_suffix(".png").read_bytes())
        maps = torch.from_numpy(np.load(stem.with_suffix(".npy")))
        return {"image": _picture(stem.with_suffix(".jpg")), "parsing": torch.from_numpy(parsing), "maps": maps}


class Uint8Files(Float32Files):
    """What PATN and ADGAN ship: maps become float in the loader, labels eight planes."""

    def _read(self, stem: Path) -> Tensors:
        parsing = torch.from_numpy(np.load(stem.with_suffix(".labels.npy")))
        planes = torch.stack([(parsing == label).float() for label in range(8)])
        maps = torch.from_numpy(np.load(stem.with_suffix(".npy"))).float().permute(2, 0, 1)
        return {"image": _picture(stem.with_suffix(".jpg")), "parsing": planes, "maps": maps}


class SameTuple(Pairs):
    """Of the pack what the field's layouts hold: the body mask of the target is left out."""

    def __getitem__(self, draw: Any) -> Any:
        pictures, sample = self.pictures, {}
        for side, row in zip(("source", "target"), self.rows[draw.pair].tolist(), strict=True):
            sample[side], sample[f"{side}_parsing"] = pictures.image(row), pictures.parsing(row)
            sample[f"{side}_joints"] = pictures.keypoints[row]
        return sample


def with_float_maps(samples: list[Any]) -> Tensors:
    """Collation that draws the heat maps of the whole batch, by numpy: it asks for large pages, torch does not."""
    batch: Tensors = torch.utils.data.default_collate(samples)
    for side in ("source", "target"):
        joints = batch[f"{side}_joints"].flatten(0, 1).numpy()
        batch[f"{side}_maps"] = torch.from_numpy(heatmaps.render(joints, **SIZE)).unflatten(0, (-1, 18))
    return batch


def with_level_maps(samples: list[Any]) -> Tensors:
    """The same maps in 255 levels, as the pack stores them: a quarter of the bytes to pass on; the device divides."""
    batch: Tensors = torch.utils.data.default_collate(samples)
    for side in ("source", "target"):
        joints = batch[f"{side}_joints"].flatten(0, 1).numpy()
        maps = heatmaps.render_uint8(joints, **SIZE, sigma_px=6.0)
        batch[f"{side}_maps"] = torch.from_numpy(maps).unflatten(0, (-1, 18))
    return batch


def cpu_seconds() -> float:
    """Of this process and of its children that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


class Layout:
    """One row of the table: a data set, its collation and what has been measured."""

    def __init__(self, data: Dataset[Any], pairs: int, collate: Callable[[list[Any]], Any] | None = None) -> None:
        self.data, self.pairs, self.collate = data, pairs, collate
        self.round = 0
        self.done = {0: 0, 2: 0}
        self.cpu = {0: 0.0, 2: 0.0}
        self.wall = {0: 0.0, 2: 0.0}

    def measure(self, workers: int, seconds: float) -> None:
        """Read for so many seconds, after one batch; the workers' start is not counted, their CPU time is."""
        self.round += 1
        draws = Draws(self.pairs, range(100_000), batch=BATCH, seed=self.round, mirror=False)
        loader: DataLoader[Any] = DataLoader(
            self.data, batch_sampler=draws, num_workers=workers, collate_fn=self.collate
        )
        batches = iter(loader)
        next(batches)
        cpu, start = cpu_seconds(), time.perf_counter()
        done = _read_for(batches, start + seconds)
        self.wall[workers] += time.perf_counter() - start
        del batches, loader  # ends the workers, whose time is known then
        self.cpu[workers] += cpu_seconds() - cpu
        self.done[workers] += done

    def rates(self) -> tuple[float, float]:
        """Pairs a CPU second in one process, and a second with two workers."""
        return self.done[0] / self.cpu[0], self.done[2] / self.wall[2]


def _read_for(batches: Iterable[Any], until: float) -> int:
    done = 0
    for _ in batches:
        done += BATCH
        if time.perf_counter() > until:
            break
    return done


def layouts(folder: Path, count: int) -> Iterator[tuple[str, Layout, float]]:
    """(name, layout, bytes a picture); the files are written on the way."""
    ids, rows = [], np.random.default_rng(0).integers(0, count, (4 * count, 2)).astype(np.int32)

    def packed() -> Iterator[Picture]:
        for person in people(count):
            ids.append(person.id)
            write_files(folder, person)
            yield as_row(person)

    path = folder / "a.h5"
    write_pack(path, packed(), count=count, pairs={"train": rows}, size=(WIDTH, HEIGHT), sigma_px=6.0, source="figures")
    training, ours = Pairs(Pack(path), rows), SameTuple(Pack(path), rows)
    sizes = {layout: sum(f.stat().st_size for f in (folder / layout).iterdir()) for layout in ("float32", "uint8")}
    yield "float32 files", Layout(Float32Files(folder / "float32", ids, rows), len(rows)), sizes["float32"] / count
    yield "uint8 files, as shipped", Layout(Uint8Files(folder / "uint8", ids, rows), len(rows)), sizes["uint8"] / count
    yield "pack, maps on the device", Layout(ours, len(rows)), path.stat().st_size / count
    yield "the same, with body mask", Layout(training, len(rows)), path.stat().st_size / count
    yield "pack, full maps, levels", Layout(ours, len(rows), with_level_maps), path.stat().st_size / count
    yield "pack, full maps, float32", Layout(ours, len(rows), with_float_maps), path.stat().st_size / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        table = list(layouts(Path(name), options.pictures))
        for workers in (0, 2) * 2:
            for _, layout, _ in table:
                layout.measure(workers, options.seconds / 2)
        rows = []
        (_, float32, most), (_, uint8, _), *_ = table
        for label, layout, size in table:
            alone, shared = layout.rates()
            ratios = [f"{r:.1f}" for peer in (float32, uint8) for r in np.array(layout.rates()) / peer.rates()]
            rows.append([label, f"{alone:.0f}", f"{shared:.0f}", *ratios, f"{size:.0f}", f"{most / size:.1f}"])
    head = ["", "pairs/CPU-s", "2 workers/s", "x float32", "x, 2 w.", "x uint8", "x, 2 w.", "bytes/picture", "x fewer"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
