"""Load every CPU kernel before it is needed."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops import pillars
from pcdet_poly.ops.cpu import columns, range_image
from pcdet_poly.ops.cpu import iou as iou_of_arrays
from pcdet_poly.ops.cpu import points_in_boxes as arrays
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_bev, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.ops.sparse_conv import sparse_conv
from pcdet_poly.ops.sparse_rules import strided_rules, submanifold_rules
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, Voxels


@cache
def warm_up() -> None:
    """Run every operation once on the CPU, on next to nothing; further calls do nothing.

    The first process on a machine compiles for a minute; later ones load machine code from disk in
    about a second. Call this before a DataLoader starts its workers: forked workers inherit what is
    loaded here, and spawned ones find it on disk, so that no first batch waits for a compiler.
    Whether the caller wants gradients makes no difference, and torch's random numbers stay as they were.
    """
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=()):
        _every_operation()


def _every_operation() -> None:
    points, frame, box = torch.rand(4, 5).requires_grad_(), torch.zeros(4, dtype=torch.int64), torch.rand(4, 7)
    grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 1.0))
    voxels = voxelize(points, frame, grid, 1, max_points=1)
    voxelize(points, frame, grid, 1, max_points=1, sample="random")
    highest = scatter_max(points, voxels.voxel_of_point, len(voxels))
    mean = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    torch.autograd.grad((highest + mean).sum(), points)
    _pillars(points, voxelize(points, frame, grid, 1))
    _sparse()
    iou_bev(box, box)
    iou_bev_matched(box, box)
    nms(box, box[:, 0], 0.5)
    circle_nms(box, box[:, 0], 0.5)
    points_in_boxes(points, box)
    count_points(points, box)
    draw_heatmap(frame, frame, frame, frame, frame, (1, 1, 2, 2))
    _in_loaders(points.detach().numpy(), box.numpy())


def _pillars(points: Tensor, voxels: Voxels) -> None:
    """What a pillar encoder does in training."""
    features, grouped = pillars.sort_and_decorate(points, voxels)
    weight = torch.rand(2, features.shape[1]).requires_grad_()
    values, *pools = pillars.linear_relu_pool(features, weight, torch.rand(len(grouped), 2), grouped, with_product=True)
    highest = pillars.linear_max(values, torch.rand(3, 2), grouped)
    torch.autograd.grad(highest.sum() + sum(pool.sum() for pool in pools), weight)


def _sparse() -> None:
    """A sparse backbone's two kinds of convolution."""
    sites = Sites(torch.arange(8), (2, 2, 2), 1)
    features = torch.rand(8, 2).requires_grad_()
    for rules in (submanifold_rules(sites, (3, 3, 3)), strided_rules(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1))):
        torch.autograd.grad(sparse_conv(features, torch.rand(2, 3, 3, 3, 2), rules).features.sum(), features)


def _in_loaders(points: np.ndarray, box: np.ndarray) -> None:
    """What the processes call that read frames. numba compiles apart for arrays mapped from a file, which cannot be
    written."""
    iou_of_arrays.pairwise_iou(box, box, False)
    points, box = points.copy(), box.copy()
    for writable in (True, False):
        points.flags.writeable = writable
        for labels in (box.copy(), box):
            labels.flags.writeable = labels is not box
            arrays.count_points(points, labels)
            arrays.first_box(points, labels)
    _of_stores()
    number = np.arange(4)
    pixel = range_image.place(number, number, number, 4, 4, range_image.NEIGHBOURS)
    range_image.nearest(pixel, np.ones((4, 2), np.float32)[:, 0], 16)


def _of_stores() -> None:
    """What writing and reading a frame's columns calls."""
    values = np.zeros(4, np.float32)
    columns.small_whole_numbers(values, np.empty(4, np.uint8))
    points, words = np.empty((4, 8), np.float32), columns.float16_bits(values.view(np.uint32))
    columns.split_bytes(words, np.empty((2, 4), np.uint8))
    plane = np.zeros(4, np.uint8)
    plane.flags.writeable = False  # as Arrow gives them
    columns.add_byte(plane, 0, words)
    columns.float16_values(words, points, 0)
    columns.coordinates_of_steps(columns.steps_of_coordinates(values, 256), 1.0, points, 0)
