"""Every operation on a CUDA device: equal to the CPU's first, then the tables of all benchmarks, with their peers.

    python -m benchmarks.bench_gpu [--json]

Under three minutes, of which the first half compiles kernels. Ends with exit code 1 if any result
differs from the CPU's, or a time is above the bar set for it. `pcdet-poly gpu-check` needs no clone, and has what
training and inference take, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import torch

from benchmarks import bench_heatmap, bench_iou, bench_nms, bench_points_in_boxes, bench_scatter, bench_voxelize
from benchmarks.common import Row, report
from pcdet_poly.experiments.gpu_check.checks import compare_operation
from pcdet_poly.experiments.gpu_check.operations import OPERATIONS
from pcdet_poly.experiments.gpu_check.place import Place

BARS_MS = {
    "pillars: ours, all points, GPU time without the wait": 0.060,
    "4096 boxes, IoU 0.7: ours": 0.5,
}
BENCHMARKS = (bench_voxelize, bench_scatter, bench_iou, bench_nms, bench_points_in_boxes, bench_heatmap)


def check_equality() -> list[str]:
    """Print which operations are equal on both devices; the names of those that are not."""
    different = []
    for operation in OPERATIONS:
        begin = time.perf_counter()
        found = compare_operation(operation, Place("cuda"))
        print(
            f"{operation.name}: {found['verdict']} ({time.perf_counter() - begin:.1f} s)", file=sys.stderr, flush=True
        )
        if found["fault"]:
            different.append(operation.name)
    return different


def rows(missed: list[str]) -> Iterator[Row]:
    """All rows; those above their bar are added to `missed`."""
    for benchmark in BENCHMARKS:
        for row in benchmark.rows("cuda"):
            bar = BARS_MS.get(row.what)
            if bar is not None and (row.ms is None or row.ms > bar):
                missed.append(f"{row.what}: {row.ms} ms, bar {bar} ms")
            yield row


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("error: no CUDA device here", file=sys.stderr)
        return 2
    different, missed = check_equality(), []
    report(rows(missed), "cuda", as_json=arguments.json)
    for line in missed:
        print(f"above the bar: {line}", file=sys.stderr)
    return 1 if different or missed else 0


if __name__ == "__main__":
    sys.exit(main())
