"""Time from a Waymo v1 record to points, against decompressing its range images alone.

    python -m benchmarks.bench_waymo_read [FILE.tfrecord] [--repeat N]

The default file is the synthetic full-size record of the tests: five LiDARs, both returns, poses per pixel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from pcdet_poly.protos import dataset as proto
from pcdet_poly.waymo import convert_range_images, decode_scan, encode_scan, read_records
from pcdet_poly.waymo.compression import inflate

DEFAULT = Path(__file__).parent.parent / "tests" / "assets" / "waymo" / "synth_frame.tfrecord"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--repeat", type=int, default=20)
    args = parser.parse_args()
    record = next(read_records(args.file))
    frame, scan = proto.Frame.FromString(record), decode_scan(record)
    streams = [
        memoryview(stream)
        for laser in frame.lasers
        for image in (laser.ri_return1, laser.ri_return2)
        for stream in (image.range_image_compressed, image.range_image_pose_compressed)
        if stream
    ]
    steps: dict[str, Callable[[], object]] = {
        "read and check the file": lambda: list(read_records(args.file)),
        "decompress range images": lambda: [inflate(stream) for stream in streams],
        "record to scan": lambda: decode_scan(record),
        "scan to points": lambda: convert_range_images(scan),
        "record to points": lambda: convert_range_images(decode_scan(record)),
        "scan to record": lambda: encode_scan(scan),
    }
    print(f"{args.file.name}: {len(record) / 1e6:.1f} MB, {len(convert_range_images(scan)):,} points")
    for name, step in steps.items():
        print(f"{name:<24} {milliseconds(step, args.repeat):8.2f} ms of CPU (median of {args.repeat})")


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
