"""A PointNet over pillars: linear layers on points and pooling over each pillar, points sorted by pillar.

Plain torch would write and read several (P, C) arrays per layer. On the CPU, points go through in
tiles that stay in cache instead, which makes a training step of the pillar encoder several times faster.
K points, V pillars, I inputs, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

import pcdet_poly.ops.scatter  # noqa: F401 - declares segment_mean and segment_max, which the GPU's back end calls
from pcdet_poly.ops.dispatch import check_lengths, check_shape, find_back_end
from pcdet_poly.structures import Voxels
from pcdet_poly.structures.pillars import Pillars


def sort_and_decorate(points: Tensor, voxels: Voxels) -> tuple[Tensor, Pillars]:
    """Sort points by pillar, and append to each where it lies in its pillar. Without gradient.

    The columns are the point's own, its offset from the mean of its pillar's points, its offset from
    the pillar's centre (metres), and 1, so that a linear layer needs no bias and sums of products
    hold the sums and the count too.

    Args:
        points: (P, C) float32 with x, y, z first, metres, in the grid's frame.
        voxels: of these points, on a grid with one layer of cells.

    Returns:
        (K, C + 7), points in no pillar left out, and where each pillar's rows are.
    """
    check_shape("sort_and_decorate", "points", points, "P 3+")
    check_lengths("sort_and_decorate", points=points, voxel_of_point=voxels.voxel_of_point)
    if voxels.grid.shape[2] != 1:
        raise ValueError(f"sort_and_decorate: {voxels.grid.shape[2]} layers of cells; only pillars have 1")
    pillars = Pillars(torch.nn.functional.pad(voxels.num_points.cumsum(0), (1, 0)), voxels.num_points)
    points, centre = points.detach(), voxel_centres(voxels)
    decorated: Tensor = find_back_end("pillars", points).decorate_points(points, voxels.voxel_of_point, pillars, centre)
    return decorated, pillars


def voxel_centres(voxels: Voxels) -> Tensor:
    """(V, 3) float32 x, y, z, metres, in the grid's frame."""
    index = voxels.coordinates()[:, [3, 2, 1]].float()
    return (index + 0.5) * index.new_tensor(voxels.grid.cell) + index.new_tensor(voxels.grid.lower)


def linear_relu_pool(
    inputs: Tensor, weight: Tensor, shift: Tensor, pillars: Pillars, *, with_product: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute values = relu(inputs @ weight.T + shift of the pillar), and what is needed to go on from there.

    Args:
        inputs: (K, I) features of points sorted by pillar.
        weight: (C, I).
        shift: (V, C), added to all points of a pillar.
        pillars: where each pillar's rows are.
        with_product: whether the Gram matrix of the values is asked for.

    Returns:
        values (K, C), their sum (V, C) and maximum (V, C) over each pillar, and their `gram_matrix` (C, C) float64,
        or zeros where it is not asked for.
    """
    _check_layer("linear_relu_pool", inputs, weight)
    check_shape("linear_relu_pool", "shift", shift, f"V {weight.shape[0]}")
    check_lengths("linear_relu_pool", pillars=pillars.num_points, shift=shift)
    back_end = find_back_end("pillars", inputs)
    results: tuple[Tensor, Tensor, Tensor, Tensor] = back_end.linear_relu_pool(
        inputs, weight, shift, pillars, with_product=with_product
    )
    return results


def linear_max(inputs: Tensor, weight: Tensor, pillars: Pillars) -> Tensor:
    """Maximum over each pillar of inputs @ weight.T.

    Args:
        inputs: (K, I) features of points sorted by pillar.
        weight: (C, I).
        pillars: where each pillar's rows are.

    Returns:
        (V, C).
    """
    _check_layer("linear_max", inputs, weight)
    highest: Tensor = find_back_end("pillars", inputs).linear_max(inputs, weight, pillars)
    return highest


def gram_matrix(values: Tensor) -> Tensor:
    """values.T @ values of a tall matrix (K, C), summed in float64: (C, C)."""
    check_shape("gram_matrix", "values", values, "K C")
    matrix: Tensor = find_back_end("pillars", values).gram_matrix(values)
    return matrix


def _check_layer(operation: str, inputs: Tensor, weight: Tensor) -> None:
    check_shape(operation, "weight", weight, "C I")
    check_shape(operation, "inputs", inputs, f"K {weight.shape[1]}")
