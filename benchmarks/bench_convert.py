"""Conversion on one core, record to store, against Waymo's own conversion and against parsing alone.

    python -m benchmarks.bench_convert [FILE.tfrecord] [--official PYTHON] [--frames N] [--repeat N]

The default file is the synthetic full-size record of the tests: five LiDARs (64 x 2650 and 4 x 200 x 600 pixels),
both returns, poses per pixel. Its first record is repeated `--frames` times. `--official` names an interpreter with
waymo-open-dataset (see convert_official.py). All numbers are CPU time, the best of `--repeat` runs. Each part runs in
a process of its own, as a worker of a conversion does. Bars: at least 20 x less CPU than the official conversion, at
most 2 x decompressing and parsing with the same libraries, at most 1.5 GB of memory, no growth after frame 20, and at
most a tenth for the checks of frames.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pcdet_poly.data.convert.build_store import ReportError, build_store
from pcdet_poly.data.convert.from_waymo import convert_waymo, read_waymo
from pcdet_poly.data.store.source_fingerprint import describe_source
from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.paths import AnyPath
from pcdet_poly.protos import dataset as proto
from pcdet_poly.structures import Frame
from pcdet_poly.waymo import read_records, write_records
from pcdet_poly.waymo.compression import inflate
from pcdet_poly.workers import Advance

DEFAULT = Path(__file__).parent.parent / "tests" / "assets" / "waymo" / "synth_frame.tfrecord"
OFFICIAL = Path(__file__).with_name("convert_official.py")
EARLY_FRAME = 20  # memory has reached its level by then
MIN_SPEEDUP, MAX_PARSINGS, MAX_MB, MAX_GROWTH_MB = 20, 2, 1500, 50
MAX_CHECKS = 0.1  # of a conversion, share of the checks of frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--official", metavar="PYTHON", help="interpreter with waymo-open-dataset")
    parser.add_argument("--frames", type=int, default=200, help="of the segment (default: 200, as Waymo's)")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        records = folder / "segment.tfrecord"
        write_records(records, [next(read_records(args.file))] * args.frames)
        ours_ms, cpu_s = alone(conversion, records, folder, args.frames, args.repeat)
        early_mb, peak_mb = alone(memory, records, folder / "memory")
        parsing_ms, plain_ms = (alone(parsing, records, keep, args.frames, args.repeat) for keep in (True, False))
    official_ms = official(args.official, args.file, args.repeat) if args.official else None
    shares = ", ".join(f"{name} {1e3 * s / args.frames:.1f}" for name, s in sorted(cpu_s.items(), key=lambda i: -i[1]))
    print(f"{args.file.name} x {args.frames}, both returns, precision compact, one core\n")
    print("| | CPU ms a frame | ratio | bar |\n|---|---|---|---|")
    print(f"| conversion, record to store | {ours_ms:.1f} | 1 | |")
    if official_ms:
        speedup = official_ms / ours_ms
        print(
            f"| Waymo's conversion, to points in memory | {official_ms:.0f} | {speedup:.1f} x | {at_least(speedup)} |"
        )
    for what, ms in (("in the same process", parsing_ms), ("in a plain process", plain_ms)):
        ratio = ours_ms / ms
        print(f"| decompression and protobuf parsing alone, {what} | {ms:.1f} | 1 / {ratio:.2f} | {at_most(ratio)} |")
    print(f"\nms by stage: {shares}")
    share = cpu_s["check"] / sum(cpu_s.values())
    print(f"checks of the frames: {100 * share:.1f} % of it: {'ok' if share <= MAX_CHECKS else 'MISSED'}")
    flat = "ok" if peak_mb <= MAX_MB and peak_mb - early_mb <= MAX_GROWTH_MB else "MISSED"
    print(f"peak memory: {early_mb:.0f} MB at frame {EARLY_FRAME}, {peak_mb:.0f} MB at frame {args.frames}: {flat}")


def at_least(speedup: float) -> str:
    return f">= {MIN_SPEEDUP} x: {'ok' if speedup >= MIN_SPEEDUP else 'MISSED'}"


def at_most(ratio: float) -> str:
    return f"<= {MAX_PARSINGS} x: {'ok' if ratio <= MAX_PARSINGS else 'MISSED'}"


def alone(step: Callable[..., Any], *arguments: object) -> Any:
    """`step` in a new process. This one must stay small: Linux counts a parent's memory as its child's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(step, *arguments).result()


def conversion(records: Path, folder: Path, frames: int, repeat: int) -> tuple[float, Mapping[str, float]]:
    """CPU milliseconds per frame of a whole conversion, check of the disk and manifest included; seconds by stage."""
    convert_waymo([str(DEFAULT)], folder / "warm")  # compiled kernels are loaded once
    best = (float("inf"), {})
    for number in range(repeat):
        start = time.process_time()
        summary = convert_waymo([str(records)], folder / str(number))
        best = min(best, (1e3 * (time.process_time() - start) / frames, summary.cpu_s), key=lambda pair: pair[0])
        shutil.rmtree(folder / str(number))
    return best


def memory(records: Path, store: Path) -> tuple[float, float]:
    """The most memory this process ever had, in MB, at an early frame and at the end of a conversion."""
    peaks: list[float] = []
    build_store(
        store,
        [describe_source(records)],
        partial(read_and_note, peaks=peaks),
        settings={"returns": ""},
        precision="compact",
    )
    return peaks[EARLY_FRAME], peak_mb()


def read_and_note(path: AnyPath, advance: Advance, report: ReportError, *, peaks: list[float]) -> Iterator[Frame]:
    """The frames, and the peak of memory before each."""
    for frame in read_waymo(path, advance, report, returns=(1, 2)):
        peaks.append(peak_mb())
        yield frame


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parsing(records: Path, keep: bool, frames: int, repeat: int) -> float:
    """CPU milliseconds per frame to parse records and their range images, decompressed, by google.protobuf and ISA-L.

    Measured as the conversion is, over all records of the file, which are read beforehand. `keep`: with the memory
    allocator set up as a conversion does it.
    """
    if keep:
        keep_freed_memory()
    read = list(islice(read_records(records), frames))
    return min(parsing_once(read) for _ in range(repeat))


def parsing_once(records: Sequence[bytes]) -> float:
    """CPU milliseconds per record."""
    start = time.process_time()
    for record in records:
        frame = proto.Frame.FromString(record)
        for laser in frame.lasers:
            for image in (laser.ri_return1, laser.ri_return2):
                for stream in (image.range_image_compressed, image.range_image_pose_compressed):
                    if stream:
                        proto.MatrixFloat.FromString(inflate(memoryview(stream)))
    return 1e3 * (time.process_time() - start) / len(records)


def official(python: str, file: Path, repeat: int) -> float:
    """CPU milliseconds of Waymo's conversion."""
    command = [python, str(OFFICIAL), str(file), "--repeat", str(repeat)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return 1e3 * min(json.loads(done.stdout.splitlines()[-1])["cpu_s"])


if __name__ == "__main__":
    main()
