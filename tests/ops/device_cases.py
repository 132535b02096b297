"""Every operation at full size, as functions of a device whose results must not depend on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.bench_heatmap import SHAPE, draw_objects
from benchmarks.bench_iou import draw_crowd
from benchmarks.bench_voxelize import FINE, NUM_POINTS, PILLARS
from benchmarks.common import lidar_cloud
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_3d, iou_3d_matched, iou_bev, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms, nms_per_class
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.scatter import scatter_max, scatter_mean, take_rows, to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Voxels

Results = tuple[Tensor, ...]
IOU_PAIRS = Path(__file__).resolve().parents[1] / "assets" / "ops" / "iou_pairs.npz"


def two_frames(device: str) -> tuple[Tensor, Tensor]:
    """180,000 points each in frames 0 and 2 of 3, on and off the edges of cells, some not finite."""
    points = np.concatenate([lidar_cloud(NUM_POINTS, seed) for seed in (0, 1)])
    rng = np.random.default_rng(2)
    on_edge = rng.random(len(points)) < 0.2
    points[on_edge, :3] = (np.round(points[on_edge, :3] / 0.32) * 0.32).astype(np.float32)
    points[::1001, rng.integers(0, 3)] = np.nan
    points[::997, 1] = np.inf
    frame = np.repeat([0, 2], NUM_POINTS)
    return torch.from_numpy(points).to(device), torch.from_numpy(frame).to(device)


def _columns(voxels: Voxels) -> Results:
    return voxels.cell, voxels.voxel_of_point, voxels.num_points, voxels.coordinates()


def _voxels(device: str, grid: Grid, cap: int) -> Results:
    points, frame = two_frames(device)
    return (
        *_columns(voxelize(points, frame, grid, 3)),
        *_columns(voxelize(points, frame, grid, 3, max_points=cap)),
        *_columns(voxelize(points, frame, grid, 3, max_points=cap, sample="random", seed=7)),
        *(_columns(voxelize(points, frame, grid, 3, any_height=True)) if grid.shape[2] == 1 else ()),
    )


def _scattered(device: str) -> Results:
    points, frame = two_frames(device)
    voxels = voxelize(points, frame, PILLARS, 3)
    values = torch.randn(len(points), 64, generator=torch.Generator().manual_seed(0)).mul(4).round().div(4).to(device)
    values.requires_grad_()
    highest = scatter_max(values, voxels.voxel_of_point, len(voxels))
    mean = scatter_mean(values, voxels.voxel_of_point, len(voxels))
    weights = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1)).to(device)
    to_highest = torch.autograd.grad((highest * weights).sum(), values)[0]
    to_mean = torch.autograd.grad((mean * weights).sum(), values)[0]
    image = to_bev(highest[:, :4], voxels)
    points_mean = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    first_mean = scatter_mean(values, voxels.voxel_of_point, len(voxels), max_points=5)
    to_first = torch.autograd.grad((first_mean * weights).sum(), values)[0]
    inside = voxels.voxel_of_point.clamp(min=0)
    taken = take_rows(mean, inside)
    to_taken = torch.autograd.grad((taken * values.detach()).sum(), values)[0]
    return (
        highest.detach(),
        mean.detach(),
        to_highest,
        to_mean,
        image.detach(),
        points_mean,
        first_mean.detach(),
        to_first,
        taken.detach(),
        to_taken,
    )


def _ious(device: str) -> Results:
    box = draw_crowd(1000, device)
    along_axes = box.clone()
    along_axes[:, 6] = (box[:, 6] / (np.pi / 2)).round() * (np.pi / 2)
    pairs = np.load(IOU_PAIRS)
    a, b = (torch.from_numpy(pairs[name]).to(device) for name in ("a_bottomz", "b_bottomz"))
    pairwise = iou_bev(box, box), iou_3d(box, along_axes), iou_bev(along_axes, along_axes)
    return *pairwise, iou_bev_matched(a, b), iou_3d_matched(a, b)


def _kept(device: str) -> Results:
    box = draw_crowd(4096, device)
    generator = torch.Generator().manual_seed(0)
    score = (torch.rand(4096, generator=generator) * 200).round().div(200).to(device)  # with ties
    label, frame = (torch.randint(0, 3, (4096,), generator=generator).to(device) for _ in range(2))
    per_class = nms_per_class(box, score, label, (0.7, 0.3, 0.05), frame=frame)
    more = nms(draw_crowd(6000, device), torch.arange(6000, device=device), 0.2)  # needs more than one list of pairs
    return (
        nms(box, score, 0.7),
        nms(box, score, 0.0),
        per_class,
        circle_nms(box, score, 1.0),
        more,
    )


def _points_of_boxes(device: str) -> Results:
    points, _ = two_frames(device)
    box = draw_crowd(400, device)
    box[:, 2] = 1.0
    return points_in_boxes(points, box), count_points(points, box)


def _heatmap(device: str) -> Results:
    return (draw_heatmap(*draw_objects(device), SHAPE),)


CASES: dict[str, Callable[[str], Results]] = {
    "voxelize pillars": lambda device: _voxels(device, PILLARS, 20),
    "voxelize fine": lambda device: _voxels(device, FINE, 5),
    "scatter": _scattered,
    "iou": _ious,
    "nms": _kept,
    "points in boxes": _points_of_boxes,
    "heatmap": _heatmap,
}


def same(ours: Results, theirs: Results) -> bool:
    """Whether all tensors are equal, whatever their device; NaN equals NaN."""
    return len(ours) == len(theirs) and all(
        torch.equal(torch.nan_to_num(a.cpu(), nan=1e30), torch.nan_to_num(b.cpu(), nan=1e30))
        for a, b in zip(ours, theirs, strict=True)
    )
