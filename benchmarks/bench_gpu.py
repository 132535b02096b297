"""Every operation on a CUDA device: equal to the CPU's first, then the tables of all benchmarks.

    python -m benchmarks.bench_gpu [--json]

Under three minutes, of which the first half compiles kernels. Ends with exit code 1 if any result
differs from the CPU's, or a time is above the bar set for it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import torch

from benchmarks import bench_heatmap, bench_iou, bench_nms, bench_points_in_boxes, bench_scatter, bench_voxelize
from benchmarks.common import Row, report
from tests.ops.device_cases import CASES, same

BARS_MS = {
    "pillars: ours, all points, GPU time without the wait": 0.060,
    "4096 boxes, IoU 0.7: ours": 0.5,
}
BENCHMARKS = (bench_voxelize, bench_scatter, bench_iou, bench_nms, bench_points_in_boxes, bench_heatmap)


def check_equality() -> list[str]:
    """Print which cases are equal on both devices; the names of those that are not."""
    different = []
    for name, case in CASES.items():
        begin = time.perf_counter()
        first, again, on_cpu = case("cuda"), case("cuda"), case("cpu")
        verdict = "equal to the CPU's" if same(first, on_cpu) else "DIFFERENT from the CPU's"
        if not same(first, again):
            verdict += ", and NOT THE SAME in a second run"
        print(f"{name}: {verdict} ({time.perf_counter() - begin:.1f} s)", file=sys.stderr, flush=True)
        if verdict != "equal to the CPU's":
            different.append(name)
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
