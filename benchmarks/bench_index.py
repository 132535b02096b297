"""Opening a dataset of Waymo's size: 798 segments, 158,081 frames. Time and memory, and the time to the first batch.

    python -m benchmarks.bench_index [--points 170000] [--objects 9000000]

The store has a manifest of full size; its 798 files are links to two real ones, so that any frame can be
read. The bank's file has as many objects as Waymo's training frames hold boxes with a point, two points in
each: opening looks at no points. Every row is a process of its own: wall seconds, and how much its resident
memory grew (files mapped from the page cache apart, which the system takes back at will).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

NUM_SEGMENTS, NUM_FRAMES = 798, 158_081
LENGTHS = (198, 199)  # frames per segment: 77 of the segments have one more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=170_000, help="points per frame")
    parser.add_argument("--objects", type=int, default=9_000_000, help="objects in the bank")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        measure(STEPS[arguments.step], arguments.step, arguments.folder)
        return
    with TemporaryDirectory() as folder:
        make_store(Path(folder), arguments.points)
        make_bank(Path(folder) / "objects.arrow", arguments.objects)
        size = (Path(folder) / "manifest.json").stat().st_size
        print(f"{NUM_FRAMES:,} frames, manifest {size / 1e6:.1f} MB; bank of {arguments.objects:,} objects")
        print("\n| step | seconds | of CPU, without workers | MB more |\n|---|---|---|---|", flush=True)
        for step in STEPS:
            subprocess.run([sys.executable, "-m", "benchmarks.bench_index", "--in", folder, "--step", step], check=True)


def make_store(folder: Path, num_points: int) -> None:
    """The manifest and 798 names of two files."""
    from benchmarks.common import lidar_cloud
    from pcdet_poly.data.store.frame_store import write_segment
    from pcdet_poly.data.store.manifest import Manifest, write_manifest
    from pcdet_poly.data.store.segment_file import segment_file_name
    from pcdet_poly.data.store.source_fingerprint import Source
    from pcdet_poly.structures import Frame, GroundTruth

    points = np.zeros((num_points, 8), np.float32)
    points[:, :5] = lidar_cloud(num_points)
    points[:, 6:] = 1

    def frames(segment: str, count: int) -> Iterator[Frame]:
        for i in range(count):
            yield Frame(points, GroundTruth.empty(), np.eye(4), timestamp_us=100_000 * i, segment=segment)

    models = []
    for count in LENGTHS:
        source = Source(Path(f"model-{count}"), num_bytes=0, fingerprint=0)
        models.append(write_segment(folder, frames(f"model-{count}", count), source, precision="compact"))
    longer = NUM_FRAMES - NUM_SEGMENTS * LENGTHS[0]
    entries = []
    for i in range(NUM_SEGMENTS):
        model = models[i < longer]
        name = f"segment-{10**19 + i}_{i:04d}_000_{i:04d}_000_with_camera_labels"
        (folder / segment_file_name(name)).symlink_to(folder / model.file)
        stamps = tuple(1_550_083_467_346_370 + 10**9 * i + 100_000 * k for k in range(model.num_frames))
        objects = {"VEHICLE": 7700, "PEDESTRIAN": 3500, "SIGN": 4100, "CYCLIST": 85}
        entries.append(
            replace(
                model,
                segment=name,
                file=segment_file_name(name),
                source=f"{name}.tfrecord",
                num_objects=objects,
                timestamps_us=stamps,
            )
        )
    write_manifest(folder, Manifest({"precision": "compact", "returns": "1 2"}, tuple(entries)))


def make_bank(path: Path, num_objects: int) -> None:
    """A bank of objects of two points, batch by batch as one is built."""
    import pyarrow as pa

    from pcdet_poly.data.bank.bank_file import BankHeader, BankObject, encode_objects, make_schema
    from pcdet_poly.structures import WAYMO_CLASSES

    segments = tuple(f"segment-{i}" for i in range(NUM_SEGMENTS))
    header = BankHeader(WAYMO_CLASSES, ("intensity", "elongation", "return_number"), segments, 1, NUM_FRAMES)
    one = BankObject(np.ones((2, 6), np.float32), np.ones(7, np.float32), 0, 0, np.zeros(2, np.float32), 0, 0, 0)
    batch = encode_objects([one] * (num_objects // NUM_SEGMENTS), header)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, make_schema(header)) as writer:
        for _ in range(NUM_SEGMENTS):
            writer.write_batch(batch)


def open_dataset(folder: Path) -> object:
    """What training does before its first batch."""
    from pcdet_poly.data.load.dataset import FrameDataset

    return FrameDataset([folder])


def list_frames(folder: Path) -> object:
    """With the names of all frames."""
    from pcdet_poly.data.load.dataset import FrameDataset

    dataset = FrameDataset([folder])
    return dataset, dataset.frame_ids


def read_everywhere(folder: Path) -> object:
    """A frame of every segment, so that every directory has been read."""
    from pcdet_poly.data.load.dataset import FrameDataset

    dataset = FrameDataset([folder])
    for i in range(0, len(dataset), LENGTHS[0]):
        dataset.read_frames_before(i, 0)
    return dataset


def open_bank(folder: Path) -> object:
    """The bank, and the choice of the objects to paste."""
    from pcdet_poly.config.sections.data import PasteConfig
    from pcdet_poly.data.bank.paste import open_paster

    cfg = PasteConfig(bank=str(folder / "objects.arrow"), min_points=2)
    return open_paster(cfg, ("VEHICLE", "PEDESTRIAN", "CYCLIST"), (1, 2))


def load_first_batch(folder: Path) -> object:
    """Four frames through two workers, pasting included, kernels on disk."""
    from pcdet_poly.config.schema import Config
    from pcdet_poly.data.load.dataset import FrameDataset
    from pcdet_poly.data.load.loader import load_training_batches

    paste = {"bank": str(folder / "objects.arrow"), "min_points": 2}
    cfg = Config.model_validate({"data": {"workers": 2}, "paste": paste, "train": {"batch_size": 4}})
    return next(load_training_batches(cfg, FrameDataset([folder]), epoch=0))


STEPS: dict[str, Callable[[Path], object]] = {
    "open the dataset": open_dataset,
    "the same, all frame ids": list_frames,
    "the same, every segment's directory": read_everywhere,
    "open the bank and choose objects": open_bank,
    "dataset, bank and first batch of 4": load_first_batch,
}


def measure(step: Callable[[Path], object], name: str, folder: Path) -> None:
    """One row. Imports are done before: every program pays for them."""
    import pyarrow  # noqa: F401

    import pcdet_poly.data.load.loader  # noqa: F401

    before, begin, cpu = measure_resident_mb(), time.perf_counter(), time.process_time()
    kept = step(folder)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(f"| {name} | {seconds:.2f} | {cpu:.2f} | {measure_resident_mb() - before:.0f} |", flush=True)
    del kept
    os._exit(0)  # without waiting for workers that read ahead


def measure_resident_mb() -> float:
    """Memory of this process without pages mapped from files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e3
    raise OSError("no RssAnon in /proc/self/status; this benchmark needs Linux")


if __name__ == "__main__":
    main()
