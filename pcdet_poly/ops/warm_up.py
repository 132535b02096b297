"""Load every CPU kernel before it is needed."""

from __future__ import annotations

import numpy as np
import torch

from pcdet_poly.ops.cpu import points_in_boxes as arrays
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_bev, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid


def warm_up() -> None:
    """Run every operation once on the CPU, on next to nothing.

    The first process on a machine compiles for a minute; later ones load machine code from disk in
    about a second. Call this before a DataLoader starts its workers: forked workers inherit what is
    loaded here, and spawned ones find it on disk, so that no first batch waits for a compiler.
    """
    points, frame, box = torch.rand(4, 5).requires_grad_(), torch.zeros(4, dtype=torch.int64), torch.rand(4, 7)
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 1.0))
    voxels = voxelize(points, frame, grid, 1, max_points=1)
    voxelize(points, frame, grid, 1, max_points=1, sample="random")
    highest = scatter_max(points, voxels.voxel_of_point, len(voxels))
    mean = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    torch.autograd.grad((highest + mean).sum(), points)
    iou_bev(box, box)
    iou_bev_matched(box, box)
    nms(box, box[:, 0], 0.5)
    circle_nms(box, box[:, 0], 0.5)
    points_in_boxes(points, box)
    count_points(points, box)
    draw_heatmap(frame, frame, frame, frame, frame, (1, 1, 2, 2))
    _read_only(points.detach().numpy(), box.numpy())


def _read_only(points: np.ndarray, box: np.ndarray) -> None:
    """Arrays mapped from a file cannot be written; numba compiles for them apart."""
    points, box = points.copy(), box.copy()
    points.flags.writeable = False
    for labels in (box.copy(), box):
        labels.flags.writeable = labels is not box
        arrays.count_points(points, labels)
        arrays.first_box(points, labels)
