"""Load every CPU kernel before it is needed."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops import arrays, cpu, pillars
from pcdet_poly.ops.arrays import iou as iou_of_arrays
from pcdet_poly.ops.arrays import point_columns, range_image
from pcdet_poly.ops.arrays import points_in_boxes as boxes_of_arrays
from pcdet_poly.ops.compiler.first_use import show_compilation
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_bev, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.rulebook import build_strided_rulebook, build_submanifold_rulebook
from pcdet_poly.ops.scatter import scatter_max, scatter_mean, take_rows
from pcdet_poly.ops.sparse_conv import sparse_conv
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, Voxels


@cache
def warm_up() -> None:
    """Run every operation once on the CPU, on next to nothing; further calls do nothing.

    The first process on a machine compiles for a minute and says so on stderr; later ones load machine code
    from disk in about a second. Call this before a DataLoader starts its workers: forked workers inherit what is
    loaded here, and spawned ones find it on disk, so that no first batch waits for a compiler.
    Whether the caller wants gradients makes no difference, and torch's random numbers stay as they were.
    """
    for package in (arrays, cpu):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=()),
        show_compilation(arrays.__name__, cpu.__name__),
    ):
        _run_every_operation()


def _run_every_operation() -> None:
    points, frame, box = torch.rand(4, 5).requires_grad_(), torch.zeros(4, dtype=torch.int64), torch.rand(4, 7)
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 1.0))
    voxels = voxelize(points, frame, grid, 1, max_points=1)
    voxelize(points, frame, grid, 1, max_points=1, sample="random")
    highest = scatter_max(points, voxels.voxel_of_point, len(voxels))
    mean = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    taken = take_rows(points, frame)
    torch.autograd.grad((highest + mean).sum() + taken.sum(), points)
    _run_pillar_operations(points, voxelize(points, frame, grid, 1))
    _run_sparse_operations()
    iou_bev(box, box)
    iou_bev_matched(box, box)
    nms(box, box[:, 0], 0.5)
    circle_nms(box, box[:, 0], 0.5)
    points_in_boxes(points, box)
    count_points(points, box)
    draw_heatmap(frame, frame, frame, frame, frame, (1, 1, 2, 2))
    _run_loader_kernels(points.detach().numpy(), box.numpy())


def _run_pillar_operations(points: Tensor, voxels: Voxels) -> None:
    """Run what a pillar encoder does in training."""
    features, grouped = pillars.sort_and_decorate(points, voxels)
    pillars.gram_matrix(features)
    for width in (1, 8, 16):  # vectors of each size have kernels of their own
        weight, shift = torch.rand(width, features.shape[1]).requires_grad_(), torch.rand(len(grouped), width)
        values, *pools = pillars.linear_relu_pool(features, weight, shift, grouped, with_product=True)
        highest = pillars.linear_max(values, torch.rand(width, width), grouped)
        alone = pillars.linear_max(features, weight, grouped)
        torch.autograd.grad((highest + alone).sum() + sum(pool.sum() for pool in pools), weight)


def _run_sparse_operations() -> None:
    """Run a sparse backbone's two kinds of convolution, forward and backward."""
    sites = Sites(torch.arange(8), (2, 2, 2), 1)
    for num_channels in (2, 16):  # these fill whole vector registers, which has kernels of its own
        _run_sparse_convolutions(sites, num_channels)


def _run_sparse_convolutions(sites: Sites, num_channels: int) -> None:
    features = torch.rand(len(sites), num_channels).requires_grad_()
    for rulebook in (
        build_submanifold_rulebook(sites, (3, 3, 3)),
        build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ):
        for is_half in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
                result = sparse_conv(features, torch.rand(num_channels, 3, 3, 3, num_channels), rulebook).features
            torch.autograd.grad(result.sum(), features)


def _run_loader_kernels(points: np.ndarray, box: np.ndarray) -> None:
    """Run what the processes call that read frames.

    numba compiles a kernel anew for arrays mapped from a file, which cannot be written.
    """
    iou_of_arrays.pairwise_iou(box, box, False)
    points, box = points.copy(), box.copy()
    for writable in (True, False):
        points.flags.writeable = writable
        for labels in (box.copy(), box):
            labels.flags.writeable = labels is not box
            boxes_of_arrays.count_points(points, labels)
            boxes_of_arrays.first_box(points, labels)
    _run_store_kernels()
    number = np.arange(4)
    pixel = range_image.assign_pixels(number, number, number, 4, 4, range_image.NEIGHBOURS)
    range_image.select_nearest_points(pixel, np.ones((4, 2), np.float32)[:, 0], 16)


def _run_store_kernels() -> None:
    """Run what writing and reading the columns of a frame calls."""
    values = np.zeros(4, np.float32)
    point_columns.convert_to_uint8(values, np.empty(4, np.uint8))
    points, words = np.empty((4, 8), np.float32), point_columns.encode_float16(values.view(np.uint32))
    point_columns.split_bytes(words, np.empty((2, 4), np.uint8))
    plane = np.zeros(4, np.uint8)
    plane.flags.writeable = False  # as Arrow gives them
    point_columns.insert_byte(plane, 0, words)
    point_columns.decode_float16(words, points, 0)
    point_columns.decode_coordinate_steps(point_columns.encode_coordinate_steps(values, 256), 1.0, points, 0)
