"""Simulate LiDAR segments and write them as Waymo Open Dataset files, v1 TFRecords or v2 Parquet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.errors import run_command


def main() -> None:
    args = _arguments()
    from pcdet_poly.simulation.write import segment_jobs, write_segments

    jobs = segment_jobs(
        args.output,
        num_segments=args.segments,
        num_frames=args.frames,
        interval_s=args.interval_s,
        seed=args.seed,
        prefix=args.prefix,
        format=args.format,
    )
    written = [result for _, result in write_segments(jobs, workers=args.workers)]
    frames, objects = sum(one.num_frames for one in written), sum(one.num_objects for one in written)
    there = sum(one.was_there for one in written)
    print(f"{args.output}: {len(written)} segments ({there} were there), {frames} frames, {objects} labels")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument(
        "output", help="folder for the .tfrecord files, one per segment (v2: for a folder per component)"
    )
    parser.add_argument("--format", choices=("v1", "v2"), default="v1", help="v1: TFRecord, v2: Parquet by component")
    parser.add_argument("--segments", type=int, default=10, help="how many segments, one seed each")
    parser.add_argument("--frames", type=int, default=200, help="frames per segment")
    parser.add_argument("--interval-s", type=float, default=0.1, help="seconds between frames; Waymo: 0.1")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first segment, the next ones count up")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--prefix", default="segment-sim", help="v1 files are named PREFIX<seed>.tfrecord")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(run_command(main))
