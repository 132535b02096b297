"""Time and memory from Waymo v2 Parquet to points, against v1 records of the same frames.

    python -m benchmarks.bench_waymo_v2 [--frames N]

The frame is the synthetic full-size one of the tests: five LiDARs, both returns, poses per pixel. It is
read from files as `write_segment_v2` makes them (a row group per frame) and as Waymo does (51 frames in one).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pcdet_poly.waymo import (
    Scan,
    decode_scan,
    encode_scan,
    read_frames,
    read_frames_v2,
    read_records,
    write_records,
    write_segment_v2,
)

RECORD = Path(__file__).parent.parent / "tests" / "assets" / "waymo" / "synth_frame.tfrecord"
SEGMENT = "synthetic_0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=51)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        v1, v2 = Path(name) / "v1.tfrecord", Path(name) / "v2"
        report("write v1", args.frames, write_v1, v1, args.frames)
        report("write v2", args.frames, write_v2, v2, args.frames)
        report("v1 to points", args.frames, read_v1, v1)
        report("v2 to points", args.frames, read_v2, v2, (1, 2))
        report("v2, first return", args.frames, read_v2, v2, (1,))
        report("regroup v2", args.frames, regroup, v2)
        report("v2 of 51-frame groups", args.frames, read_v2, v2, (1, 2))


def report(name: str, frames: int, step: Callable[..., None], *arguments: object) -> None:
    """Run `step` in a process of its own: its CPU time per frame, and the most memory it ever had.

    This process must stay small: Linux counts a parent's memory at the start as the child's.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        seconds, peak_mb = pool.submit(measured, step, *arguments).result()
    print(f"{name:<22} {1e3 * seconds / frames:7.1f} ms of CPU a frame, {peak_mb:5.0f} MB")


def measured(step: Callable[..., None], *arguments: object) -> tuple[float, float]:
    for _ in read_frames(RECORD):  # compiled kernels are loaded once
        pass
    start = time.process_time()
    step(*arguments)
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def scans(frames: int) -> Iterator[Scan]:
    scan = decode_scan(next(read_records(RECORD)))
    return (replace(scan, timestamp_us=number) for number in range(frames))


def write_v1(path: Path, frames: int) -> None:
    write_records(path, map(encode_scan, scans(frames)))


def write_v2(folder: Path, frames: int) -> None:
    write_segment_v2(folder, SEGMENT, scans(frames))


def read_v1(path: Path) -> None:
    for _ in read_frames(path):
        pass


def read_v2(folder: Path, returns: tuple[int, ...]) -> None:
    for _ in read_frames_v2(folder, SEGMENT, returns=returns):
        pass


def regroup(folder: Path) -> None:
    """Rewrite the large components in row groups of 51 frames."""
    for component, rows in (("lidar", 255), ("lidar_pose", 51)):
        path = folder / component / f"{SEGMENT}.parquet"
        source, target = pq.ParquetFile(path), path.with_suffix(".regrouped")
        with pq.ParquetWriter(target, source.schema_arrow) as writer:
            for batch in source.iter_batches(batch_size=rows):
                writer.write_table(pa.Table.from_batches([batch]), row_group_size=rows)
        target.replace(path)


if __name__ == "__main__":
    main()
