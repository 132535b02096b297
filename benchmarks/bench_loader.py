"""From stored frames to batches: frames per second with workers, and where the time of one frame goes.

    python -m benchmarks.bench_loader [STORE ...] [--workers 2] [--frames 200]

Without a store, two segments of full-size frames are simulated first (about 170,000 points, half a minute). Pastes
15 vehicles, 10 pedestrians and 10 cyclists from a bank of the same frames. CPU milliseconds are medians on one core,
files in the page cache. The peer reads float32 .npy files of the same points and does the same changes with
plain numpy: boxes one by one, points by masks. Its labels, calibrations and bank cost it nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.bank.build_bank import build_object_bank
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.data.bank.paste import draw_objects, find_free_boxes, open_paster, paste_objects
from pcdet_poly.data.load.augment import augment, draw_transform, shuffle_points, transform_frame
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.data.load.prepare_frame import prepare_frame
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.ops.warm_up import warm_up
from pcdet_poly.structures import Frame

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
FRAMES_IN_SEGMENT = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--frames", type=int, default=200, help="frames to read for frames/s")
    parser.add_argument("--repeat", type=int, default=20, help="measurements per step")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warm_up()
    keep_freed_memory()  # as the processes of a loader do
    with TemporaryDirectory() as folder:
        stores = arguments.stores or [simulated(Path(folder) / "store")]
        bank = build_object_bank(stores, Path(folder) / "objects.arrow")
        print_steps(FrameDataset(stores), bank, Path(folder), arguments.repeat)
        print_rates(stores, bank, arguments.workers, arguments.frames)


def simulated(folder: Path) -> Path:
    """A store of two full-size segments."""
    from pcdet_poly.simulation.segment import simulate_segment
    from pcdet_poly.waymo import decode_frame, encode_scan

    def frames() -> Iterator[Frame]:
        for seed in (5, 6):
            for scan in simulate_segment(seed, num_frames=FRAMES_IN_SEGMENT):
                yield decode_frame(encode_scan(scan))

    write_store(folder, frames())
    return folder


def config(stores: list[Path], bank: ObjectBank | None, workers: int = 0, *, sweeps: int = 1) -> Config:
    """OpenPCDet's recipe."""
    data = {"train": list(map(str, stores)), "classes": CLASSES, "workers": workers, "sweeps": sweeps}
    pasted = {"bank": str(bank.path), "fill": False} if bank else {}
    return Config.model_validate({"data": data, "paste": pasted, "train": {"batch_size": 2}})


def print_steps(dataset: FrameDataset, bank: ObjectBank, folder: Path, repeat: int) -> None:
    """The table of steps of the frame with the most points."""
    frame = max((dataset[i] for i in range(min(len(dataset), 8))), key=lambda frame: len(frame.points))
    index = dataset.frame_ids.index(frame.frame_id)
    cfg = config([Path("any")], bank)
    paster = open_paster(cfg.paste, CLASSES, cfg.data.returns)
    own = prepare_frame(frame, (), cfg)
    full = paste_objects(own, np.random.default_rng(0), paster)
    rng = np.random.default_rng(0)
    matrix = draw_transform(rng, cfg.augment)
    print(f"{len(frame.points):,} points; {len(full.ground_truth) - len(own.ground_truth)} objects pasted\n")
    print("| step | CPU ms |\n|---|---|")
    steps: dict[str, Callable[[], object]] = {
        "read from the store": lambda: dataset[index],
        "choose returns and columns": lambda: prepare_frame(frame, (), cfg),
        "draw objects, test for collisions": lambda: find_free_boxes(
            bank.read_boxes(draw_objects(own, rng, paster)), own.ground_truth.box
        ),
        "paste, all of it": lambda: paste_objects(own, np.random.default_rng(0), paster),
        "flip, rotate, scale": lambda: transform_frame(full, matrix),
        "shuffle": lambda: shuffle_points(full, rng),
        "collate": lambda: collate([full], CLASSES),
        "all of it": lambda: collate(
            [augment(paste_objects(prepare_frame(dataset[index], (), cfg), rng, paster), rng, cfg.augment)], CLASSES
        ),
        "with two more sweeps": lambda: prepare_frame(
            dataset[index], dataset.read_frames_before(index, 2), config([], bank, sweeps=3)
        ),
        "peer: .npy and plain numpy, all of it": peer(own, full, folder / "points.npy"),
    }
    for name, step in steps.items():
        print(f"| {name} | {milliseconds(step, repeat):.2f} |")


def peer(own: Frame, full: Frame, path: Path) -> Callable[[], object]:
    """The same changes as one writes them down first."""
    np.save(path, own.points)
    boxes = full.ground_truth.box
    pasted = full.points[-int(full.ground_truth.num_points[len(own.ground_truth) :].sum()) :]
    rng = np.random.default_rng(0)

    def step() -> object:
        points = np.load(path)
        for i in range(len(own.ground_truth), len(boxes)):
            for j in range(i):
                overlap(boxes[i], boxes[j])
            points = points[~inside(points, boxes[i])]
        points = np.concatenate([points, pasted])
        points[:, :3] = points[:, :3] @ draw_transform(rng, Config().augment)[:3, :3].T.astype(np.float32)
        points = points[rng.permutation(len(points))]
        columns = points[:, :5].copy()
        columns[:, 3] = np.tanh(columns[:, 3])
        return torch.from_numpy(columns)

    return step


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(P,) bool."""
    x, y, z = (points[:, :3] - box[:3]).T
    cos, sin = np.cos(box[6]), np.sin(box[6])
    along, across = x * cos + y * sin, y * cos - x * sin
    return (abs(along) <= box[3] / 2) & (abs(across) <= box[4] / 2) & (abs(z) <= box[5] / 2)


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two boxes overlap seen from above: no axis of either separates them."""
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2
    shapes = []
    for box in (a, b):
        cos, sin = np.cos(box[6]), np.sin(box[6])
        shapes.append(corners * box[3:5] @ np.array([[cos, sin], [-sin, cos]]) + box[:2])
    for box in (a, b):
        axes = np.array([[np.cos(box[6]), np.sin(box[6])], [-np.sin(box[6]), np.cos(box[6])]])
        first, second = (shape @ axes.T for shape in shapes)
        if ((first.max(0) < second.min(0)) | (second.max(0) < first.min(0))).any():
            return False
    return True


def print_rates(stores: list[Path], bank: ObjectBank, workers: int, num_frames: int) -> None:
    """Frames per second that a training loop which takes no time would get."""
    print(f"\n| {workers} workers | frames/s | CPU ms per frame, all processes | first batch s |\n|---|---|---|---|")
    for name, cfg in (
        ("augmentation", config(stores, None, workers)),
        ("pasting and augmentation", config(stores, bank, workers)),
        ("the same, three sweeps", config(stores, bank, workers, sweeps=3)),
    ):
        dataset = FrameDataset(stores * -(-num_frames // len(FrameDataset(stores))))
        before, begin = cpu_seconds(), time.perf_counter()
        batches = load_training_batches(cfg, dataset, epoch=0)
        count = next(batches).size
        first = time.perf_counter() - begin
        count += sum(batch.size for batch in batches)
        seconds, cpu = time.perf_counter() - begin, cpu_seconds() - before
        print(f"| {name} | {count / seconds:.1f} | {1e3 * cpu / count:.1f} | {first:.2f} |")


def cpu_seconds() -> float:
    """CPU time of this process and of those it started and saw ending."""
    return sum(os.times()[:4])


def milliseconds(step: Callable[[], object], repeat: int) -> float:
    """Median CPU time of one call."""
    step()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return 1e3 * sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
