"""Rotated IoU of every box with every box: ours and shapely.

python -m benchmarks.bench_iou [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Row, main, median_ms
from pcdet_poly.ops.iou import iou_3d, iou_bev, iou_bev_matched

SHAPELY_BOXES = 100


def draw_crowd(num_boxes: int, device: str = "cpu", seed: int = 0) -> Tensor:
    """(N, 7) boxes as a detector proposes them: 20 near each of N / 20 objects on 150 x 150 m."""
    rng = np.random.default_rng(seed)
    objects = np.empty((-(-num_boxes // 20), 7))
    objects[:, :3] = rng.uniform(-75, 75, (len(objects), 3)) * (1, 1, 0.02)
    sizes = np.array([[4.7, 2.1, 1.7], [4.7, 2.1, 1.7], [0.9, 0.86, 1.73], [1.78, 0.84, 1.78]])
    objects[:, 3:6] = sizes[rng.integers(0, 4, len(objects))]
    objects[:, 6] = rng.uniform(-np.pi, np.pi, len(objects))
    boxes = np.repeat(objects, 20, axis=0)[:num_boxes]
    boxes += rng.normal(0, (0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1), boxes.shape)
    return torch.from_numpy(np.abs(boxes, where=[0, 0, 0, 1, 1, 1, 0], out=boxes).astype(np.float32)).to(device)


def compute_shapely_iou(boxes: np.ndarray) -> np.ndarray:
    """(N, N) by shapely's vectorised functions."""
    import shapely

    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) / 2
    cosine, sine = np.cos(boxes[:, 6:]), np.sin(boxes[:, 6:])
    along, across = signs[:, 0] * boxes[:, 3:4], signs[:, 1] * boxes[:, 4:5]
    x, y = boxes[:, :1] + along * cosine - across * sine, boxes[:, 1:2] + along * sine + across * cosine
    shapes = shapely.polygons(np.stack([x, y], axis=-1))
    shared = shapely.area(shapely.intersection(shapes[:, None], shapes[None, :]))
    area = boxes[:, 3] * boxes[:, 4]
    return shared / (area[:, None] + area - shared)


def rows(device: str) -> Iterator[Row]:
    """Pairs far apart and near, and matched pairs that all overlap."""
    few, many = draw_crowd(SHAPELY_BOXES, device), draw_crowd(1000, device)
    ours = median_ms(lambda: iou_bev(few, few), device)
    yield Row(f"{SHAPELY_BOXES} x {SHAPELY_BOXES} bird's-eye: ours", ours)
    yield _measure_shapely(few, ours)
    yield Row("1000 x 1000 bird's-eye: ours", median_ms(lambda: iou_bev(many, many), device))
    yield Row("1000 x 1000 3D: ours", median_ms(lambda: iou_3d(many, many), device))
    box = draw_crowd(20_000, device)
    moved = box + 0.1
    ms = median_ms(lambda: iou_bev_matched(box, moved), device)
    yield Row("20,000 overlapping pairs, matched: ours", ms, f"{1e6 * ms / len(box):.0f} ns a pair")


def _measure_shapely(boxes: Tensor, ours: float) -> Row:
    name = f"{len(boxes)} x {len(boxes)} bird's-eye: shapely"
    try:
        import shapely  # noqa: F401
    except ImportError:
        return Row(name, None, "not installed")
    host = boxes.cpu().numpy().astype(np.float64)
    np.testing.assert_allclose(iou_bev(boxes, boxes).cpu().numpy(), compute_shapely_iou(host), atol=1e-5)
    peer = median_ms(lambda: compute_shapely_iou(host))
    return Row(name, peer, f"{peer / ours:.0f} x ours")


if __name__ == "__main__":
    main(__doc__, rows)
