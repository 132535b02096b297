"""Points of 200 boxes among 180,000: ours and numpy, box by box.

python -m benchmarks.bench_points_in_boxes [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.bench_iou import draw_crowd
from benchmarks.bench_voxelize import draw_cloud
from benchmarks.common import Row, main, median_ms, memory_floor_ms
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes

NUM_BOXES = 200


def find_by_numpy(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) counts."""
    counts = []
    for x, y, z, length, width, height, heading in boxes.astype(np.float64):
        dx, dy = points[:, 0].astype(np.float64) - x, points[:, 1].astype(np.float64) - y
        along, across = dx * np.cos(heading) + dy * np.sin(heading), dy * np.cos(heading) - dx * np.sin(heading)
        inside = (abs(along) <= length / 2) & (abs(across) <= width / 2)
        counts.append((inside & (abs(points[:, 2].astype(np.float64) - z) <= height / 2)).sum())
    return np.array(counts)


def rows(device: str) -> Iterator[Row]:
    """Counts and the first box of each point."""
    points, box = draw_cloud(device), draw_crowd(20 * NUM_BOXES, device)[::20].contiguous()
    box[:, 2] = 1.0
    host_points, host_box = points.cpu().numpy(), box.cpu().numpy()
    np.testing.assert_array_equal(count_points(points, box).cpu().numpy(), find_by_numpy(host_points, host_box))
    ours = median_ms(lambda: count_points(points, box), device)
    yield Row("count_points: ours", ours, f"{len(points)} points, {NUM_BOXES} boxes")
    yield Row("points_in_boxes: ours", median_ms(lambda: points_in_boxes(points, box), device))
    peer = median_ms(lambda: find_by_numpy(host_points, host_box))
    yield Row("counts by numpy", peer, f"{peer / ours:.0f} x ours")
    yield Row("memory floor, points read and indices written", memory_floor_ms(points.nbytes + 8 * len(points), device))


if __name__ == "__main__":
    main(__doc__, rows)
