"""Every operation at full size, as functions of a device whose results must not depend on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.experiments.gpu_check.inputs import draw_boxes, draw_cloud
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_3d, iou_bev, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms_per_class
from pcdet_poly.ops.pillars import linear_max, sort_and_decorate
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.rulebook import build_strided_rulebook, build_submanifold_rulebook
from pcdet_poly.ops.scatter import scatter_max, scatter_mean, take_rows, to_bev
from pcdet_poly.ops.sparse_conv import Backend, sparse_conv, sparse_to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, Voxels

Results = tuple[Tensor, ...]


@dataclass(frozen=True)
class Sizes:
    """How large the inputs are."""

    num_points: int
    num_boxes: int
    cells: int  # of the pillars' grid along x and y
    channels: int

    @property
    def pillars(self) -> Grid:
        """Pillars of .32 m around the vehicle."""
        half = 0.16 * self.cells
        return Grid((-half, -half, -2.0), (half, half, 4.0), (0.32, 0.32, 6.0))

    @property
    def fine(self) -> Grid:
        """Voxels of .08 x .08 x .15 m in the same place."""
        half = 0.16 * self.cells
        return Grid((-half, -half, -2.0), (half, half, 4.0), (0.08, 0.08, 0.15))

    @property
    def reach_m(self) -> float:
        """Half the width of the grid."""
        return 0.16 * self.cells


FULL = Sizes(num_points=180_000, num_boxes=4096, cells=468, channels=64)
TINY = Sizes(num_points=120, num_boxes=40, cells=16, channels=4)


@dataclass(frozen=True)
class Operation:
    """One family of operations. `prepare` makes inputs on a device; what it returns computes the results."""

    name: str
    prepare: Callable[[str, Sizes], Callable[[], Results]]
    tolerance: float = 0.0  # of the largest value: sums of products may be added in another order


def _draw_points(device: str, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Points of frames 0 and 2 of 3, on and off the edges of cells, some not finite."""
    points = np.concatenate([draw_cloud(sizes.num_points, sizes.reach_m, seed) for seed in (0, 1)])
    rng = np.random.default_rng(2)
    on_edge = rng.random(len(points)) < 0.2
    points[on_edge, :3] = (np.round(points[on_edge, :3] / 0.32) * 0.32).astype(np.float32)
    points[::101, rng.integers(0, 3)], points[::97, 1] = np.nan, np.inf
    frame = np.repeat([0, 2], sizes.num_points)
    return torch.from_numpy(points).to(device), torch.from_numpy(frame).to(device)


def _list_columns(voxels: Voxels) -> Results:
    return voxels.cell, voxels.voxel_of_point, voxels.num_points


def _voxelize(grid_name: str, **options: object) -> Callable[[str, Sizes], Callable[[], Results]]:
    def prepare(device: str, sizes: Sizes) -> Callable[[], Results]:
        points, frame = _draw_points(device, sizes)
        grid: Grid = getattr(sizes, grid_name)
        return lambda: _list_columns(voxelize(points, frame, grid, 3, **options))  # type: ignore[arg-type]

    return prepare


def _scatter(device: str, sizes: Sizes) -> Callable[[], Results]:
    points, frame = _draw_points(device, sizes)
    voxels = voxelize(points, frame, sizes.pillars, 3)
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(points), sizes.channels, generator=generator).mul(4).round().div(4).to(device)
    values.requires_grad_()

    def compute() -> Results:
        highest = scatter_max(values, voxels.voxel_of_point, len(voxels))
        mean = scatter_mean(values, voxels.voxel_of_point, len(voxels))
        taken = take_rows(mean, voxels.voxel_of_point.clamp(min=0))
        gradient = torch.autograd.grad((highest + mean).sum() + (taken * values.detach()).sum(), values)[0]
        return highest.detach(), mean.detach(), gradient, to_bev(highest.detach(), voxels)

    return compute


def _encode_pillars(device: str, sizes: Sizes) -> Callable[[], Results]:
    points, frame = _draw_points(device, sizes)
    points = points.nan_to_num(0, 0, 0)
    voxels = voxelize(points, frame, sizes.pillars, 3)
    weight = torch.randn(sizes.channels, points.shape[1] + 7, generator=torch.Generator().manual_seed(0)).to(device)
    weight.requires_grad_()

    def compute() -> Results:
        features, pillars = sort_and_decorate(points, voxels)
        highest = linear_max(features, weight, pillars)
        return highest.detach(), torch.autograd.grad(highest.sum(), weight)[0]

    return compute


def prepare_sparse_layer(device: str, sizes: Sizes, backend: Backend = "torch") -> Callable[[], Results]:
    """Prepare a strided and a submanifold layer on a frame's pillars, forward and backward.

    Args:
        device: `cpu` or `cuda`.
        sizes: of the inputs.
        backend: that computes the convolutions on a GPU.
    """
    points, frame = _draw_points(device, sizes)
    grid, generator = sizes.pillars, torch.Generator().manual_seed(0)
    cell = voxelize(points, frame, grid, 3).cell
    sites = Sites(cell, (1, grid.shape[1], grid.shape[0]), 3)
    width = sizes.channels
    features = torch.randn(len(cell), width, generator=generator).to(device).requires_grad_()
    weights = [torch.randn(width, 1, 3, 3, width, generator=generator).div(width).to(device) for _ in range(2)]

    def compute() -> Results:
        strided = build_strided_rulebook(sites, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        tensor = sparse_conv(features, weights[0], strided, backend=backend)
        tensor = sparse_conv(
            tensor.features, weights[1], build_submanifold_rulebook(tensor.sites, (1, 3, 3)), backend=backend
        )
        gradient = torch.autograd.grad(tensor.features.sum(), features)[0]
        return tensor.sites.cell, sparse_to_bev(tensor.replace_features(tensor.features.detach())), gradient

    return compute


def _compare_boxes(device: str, sizes: Sizes) -> Callable[[], Results]:
    box = torch.from_numpy(draw_boxes(sizes.num_boxes // 4, sizes.reach_m)).to(device)
    along_axes = torch.cat([box[:, :6], (box[:, 6:] / (np.pi / 2)).round() * (np.pi / 2)], dim=1)
    return lambda: (iou_bev(box, box), iou_3d(box, along_axes), iou_bev_matched(box, along_axes))


def _suppress(device: str, sizes: Sizes) -> Callable[[], Results]:
    box = torch.from_numpy(draw_boxes(sizes.num_boxes, sizes.reach_m)).to(device)
    generator = torch.Generator().manual_seed(0)
    score = (torch.rand(len(box), generator=generator) * 200).round().div(200).to(device)  # with ties
    label = torch.randint(0, 3, (len(box),), generator=generator).to(device)
    return lambda: (nms_per_class(box, score, label, (0.7, 0.3, 0.05)), circle_nms(box, score, 1.0))


def _find_points(device: str, sizes: Sizes) -> Callable[[], Results]:
    points, _ = _draw_points(device, sizes)
    box = torch.from_numpy(draw_boxes(sizes.num_boxes // 10, sizes.reach_m)).to(device)
    return lambda: (points_in_boxes(points, box), count_points(points, box))


def _draw_peaks(device: str, sizes: Sizes) -> Callable[[], Results]:
    generator = torch.Generator().manual_seed(0)
    count = sizes.num_boxes // 8

    def draw(high: int) -> Tensor:
        return torch.randint(0, high, (count,), generator=generator).to(device)

    frame, label, x, y, radius = draw(2), draw(3), draw(sizes.cells), draw(sizes.cells), draw(9)
    return lambda: (draw_heatmap(frame, label, x, y, radius, (2, 3, sizes.cells, sizes.cells)),)


_ROUNDING = 1e-5  # float32 sums of some hundred products, in another order
_NEAR_MAXIMA = 1e-4  # where two of a pillar's points are equal up to rounding, the gradient may go to the other one
OPERATIONS = (
    Operation("voxelize pillars", _voxelize("pillars")),
    Operation("voxelize, first 20 points", _voxelize("pillars", max_points=20)),
    Operation("voxelize, any 20 points", _voxelize("pillars", max_points=20, sample="random", seed=7)),
    Operation("voxelize fine", _voxelize("fine")),
    Operation("scatter, forward and backward", _scatter),
    Operation("pillar encoder, forward and backward", _encode_pillars, _NEAR_MAXIMA),
    Operation("sparse convolution, forward and backward", prepare_sparse_layer, _ROUNDING),
    Operation("IoU", _compare_boxes),
    Operation("NMS", _suppress),
    Operation("points in boxes", _find_points),
    Operation("heatmap", _draw_peaks),
)


def measure_difference(ours: Results, theirs: Results) -> float:
    """Measure the largest difference of any tensor, relative to its largest value; infinite for other shapes."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = (torch.nan_to_num(values.detach().cpu().double(), nan=1e30) for values in (a, b))
        if a.shape != b.shape:
            return float("inf")
        if a.numel():
            worst = max(worst, float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)))
    return worst
