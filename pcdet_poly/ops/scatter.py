"""Features of pixels -> of points -> of voxels -> a bird's-eye image, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import pcdet_poly.ops.voxelize  # noqa: F401 - declares keep_first, which the gradient of a capped mean calls
from pcdet_poly.ops.dispatch import check_lengths, check_shape, define_gradient, define_operation, to_int_row
from pcdet_poly.structures import Voxels

_MOST_VOXELS = 2**31 - 1  # GPUs sort their numbers as int32; places of elements are int64


def scatter_mean(values: Tensor, voxel_of_point: Tensor, num_voxels: int, *, max_points: int | None = None) -> Tensor:
    """Mean of the values of each voxel's points, or of its first few.

    Added up in float32 in the order of the points on every device, so the result is the same to the bit.

    Args:
        values: (P, C).
        voxel_of_point: (P,) int64 in [-1, V); points with -1 are ignored. On a GPU those with V or more are
            too: to tell whether there are any, it would have to be waited for.
        num_voxels: V, below 2^31.
        max_points: how many of a voxel's points count, the first in order, at least 1; None for all.

    Returns:
        (V, C) of the values' dtype; a voxel without points has NaN.

    Raises:
        ValueError: the shapes do not fit, max_points is below 1, or (on the CPU) a number in voxel_of_point is V or
            more.
    """
    _check_rows(values, voxel_of_point, num_voxels)
    if max_points is not None and max_points < 1:
        raise ValueError(f"scatter_mean: max_points = {max_points}; give at least 1, or None for all points")
    rows, voxels = values.float().contiguous(), to_int_row(voxel_of_point)
    mean, _ = torch.ops.pcdet_poly.segment_mean(rows, voxels, num_voxels, max_points)
    return mean.to(values.dtype)


def scatter_max(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    """Maximum of the values of each voxel's points; NaN beats every number.

    Where several points share the maximum, each receives an equal share of the gradient, so that the shares
    add up to it (as torch.amax does).

    Args:
        values: (P, C).
        voxel_of_point: (P,) int64 in [-1, V); points with -1 are ignored. On a GPU those with V or more are
            too.
        num_voxels: V, below 2^31.

    Returns:
        (V, C) of the values' dtype; a voxel without points has -inf.

    Raises:
        ValueError: the shapes do not fit, or (on the CPU) a number in voxel_of_point is V or more.
    """
    _check_rows(values, voxel_of_point, num_voxels)
    highest = torch.ops.pcdet_poly.segment_max(values.float().contiguous(), to_int_row(voxel_of_point), num_voxels)
    return highest.to(values.dtype)


def take_rows(values: Tensor, row: Tensor) -> Tensor:
    """Take rows of a table: `values[row]`, which waits for memory ten times as long where rows are in random order.

    The gradient of a row that is taken several times is added up in float32 in their order on every device, so the
    result is the same to the bit.

    Args:
        values: (N, C).
        row: (P,) int64 in [0, N).

    Returns:
        (P, C) of the values' dtype.

    Raises:
        ValueError: the shapes do not fit, or (on the CPU) a number in `row` is no row of `values`.
    """
    check_shape("take_rows", "values", values, "N C")
    check_shape("take_rows", "row", row, "P", is_whole=True)
    taken: Tensor = torch.ops.pcdet_poly.take_rows(values.float().contiguous(), to_int_row(row))
    return taken.to(values.dtype)


def to_bev(features: Tensor, voxels: Voxels, *, channels_last: bool = False) -> Tensor:
    """Put features of pillars into a bird's-eye image, zero where no pillar is.

    Args:
        features: (V, C).
        voxels: V pillars, on a grid with one layer of cells.
        channels_last: give the result that memory layout, which costs no transposition.

    Returns:
        (B, C, ny, nx).

    Raises:
        ValueError: the grid has more than one layer of cells, or there are not as many rows as pillars.
    """
    nx, ny, nz = voxels.grid.shape
    if nz != 1:
        raise ValueError(f"to_bev: the grid has {nz} layers of cells; only pillars (1 layer) make an image")
    check_shape("to_bev", "features", features, "V C")
    check_lengths("to_bev", voxels=voxels.cell, features=features)
    num_frames, num_channels = voxels.num_frames, features.shape[1]
    if channels_last:
        image = features.new_zeros(num_frames * ny * nx, num_channels).index_copy_(0, voxels.cell, features)
        return image.view(num_frames, ny, nx, num_channels).permute(0, 3, 1, 2)
    image = features.new_zeros(num_frames, num_channels, ny * nx)
    image[voxels.cell // (ny * nx), :, voxels.cell % (ny * nx)] = features
    return image.view(num_frames, num_channels, ny, nx)


def _check_rows(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> None:
    check_shape("scatter", "values", values, "P C")
    check_shape("scatter", "voxel_of_point", voxel_of_point, "P", is_whole=True)
    check_lengths("scatter", values=values, voxel_of_point=voxel_of_point)
    if num_voxels < 0:
        raise ValueError(f"scatter: num_voxels = {num_voxels}; give 0 or more")
    if not torch.compiler.is_compiling() and num_voxels > _MOST_VOXELS:  # a graph cannot ask for a number's size
        raise ValueError(f"scatter: num_voxels = {num_voxels}; at most {_MOST_VOXELS} are told apart")


def _mean_fake(
    values: Tensor, voxel_of_point: Tensor, num_voxels: int, max_points: int | None = None
) -> tuple[Tensor, Tensor]:
    return values.new_empty(num_voxels, values.shape[1]), values.new_empty(num_voxels)


def _save_for_mean(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[1], output[1])
    ctx.max_points = inputs[3]
    ctx.mark_non_differentiable(output[1])


def _compute_mean_gradient(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Tensor, None, None, None]:
    voxel_of_point, count = ctx.saved_tensors
    if ctx.max_points is not None:
        # Row 0 is that of voxel -1. (Sizes by .shape: len() would break a compiled graph.)
        num_points = voxel_of_point.new_zeros(count.shape[0] + 1)
        num_points = num_points.index_add(0, voxel_of_point + 1, torch.ones_like(voxel_of_point))
        voxel_of_point = torch.ops.pcdet_poly.keep_first(voxel_of_point, num_points[1:], ctx.max_points)
    share = torch.cat([gradient / count[:, None], gradient.new_zeros(1, gradient.shape[1])])
    return share[voxel_of_point], None, None, None  # row -1, of dropped points, is zero


def _max_fake(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    return values.new_empty(num_voxels, values.shape[1])


def _save_for_max(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output, inputs[1])


def _compute_max_gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
    return torch.ops.pcdet_poly.share_among_highest(gradient.contiguous(), *ctx.saved_tensors), None, None


def _take_fake(values: Tensor, row: Tensor) -> Tensor:
    return values.new_empty(row.shape[0], values.shape[1])


def _save_for_take(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.num_rows = inputs[0].shape[0]


def _compute_take_gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (row,) = ctx.saved_tensors
    return torch.ops.pcdet_poly.segment_sum(gradient.contiguous(), row, ctx.num_rows), None


def _sum_fake(values: Tensor, voxel_of_point: Tensor, num_voxels: int) -> Tensor:
    return values.new_empty(num_voxels, values.shape[1])


def _share_fake(gradient: Tensor, values: Tensor, highest: Tensor, voxel_of_point: Tensor) -> Tensor:
    return torch.empty_like(values)


define_operation(
    "segment_mean(Tensor values, Tensor voxel_of_point, SymInt num_voxels, int? max_points=None) -> (Tensor, Tensor)",
    file="scatter",
    fake=_mean_fake,
)
define_operation(
    "segment_max(Tensor values, Tensor voxel_of_point, SymInt num_voxels) -> Tensor", file="scatter", fake=_max_fake
)
define_operation(
    "share_among_highest(Tensor gradient, Tensor values, Tensor highest, Tensor voxel_of_point) -> Tensor",
    file="scatter",
    fake=_share_fake,
)
define_operation("take_rows(Tensor values, Tensor row) -> Tensor", file="scatter", fake=_take_fake)
define_operation(
    "segment_sum(Tensor values, Tensor voxel_of_point, SymInt num_voxels) -> Tensor", file="scatter", fake=_sum_fake
)
define_gradient("take_rows", save=_save_for_take, backward=_compute_take_gradient)
define_gradient("segment_mean", save=_save_for_mean, backward=_compute_mean_gradient)
define_gradient("segment_max", save=_save_for_max, backward=_compute_max_gradient)
