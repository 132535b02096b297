"""Active cells -> the rulebook of a sparse convolution: which cell feeds which through each element of its kernel."""

from __future__ import annotations

from math import prod

from pcdet_poly.ops.dispatch import find_back_end
from pcdet_poly.structures import Sites
from pcdet_poly.structures.rulebook import Rulebook

Size3 = tuple[int, int, int]  # along z, y, x


def build_submanifold_rulebook(sites: Sites, kernel: Size3) -> Rulebook:
    """Build the rulebook of a convolution whose output has its input's cells; odd kernel, stride 1."""
    if any(size % 2 == 0 for size in kernel):
        raise ValueError(f"submanifold convolution: kernel {kernel} has no centre; use odd sizes")
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return _build_rulebook(sites, sites, kernel, (1, 1, 1), padding, submanifold=True)


def build_strided_rulebook(sites: Sites, kernel: Size3, stride: Size3, padding: Size3) -> Rulebook:
    """Build the rulebook of a convolution whose output has every cell that some active cell reaches.

    Output cell o and kernel element k read input cell o * stride - padding + k, along each axis; the
    output has (n + 2 * padding - kernel) // stride + 1 cells, as that of torch's conv3d.

    Args:
        sites: active cells of the input.
        kernel: cells of the kernel.
        stride: input cells from one output cell to the next.
        padding: empty cells before the first and after the last, fewer than the kernel has.

    Returns:
        The rulebook; its `sites` are the output's.

    Raises:
        ValueError: the padding is as large as the kernel, or the kernel finds no place in the grid.
    """
    shape = _compute_output_shape(sites.shape, kernel, stride, padding)
    cell = find_back_end("rulebook", sites.cell).find_reached_cells(sites, shape, kernel, stride, padding)
    outputs = Sites(cell, shape, sites.num_frames)
    return _build_rulebook(sites, outputs, kernel, stride, padding, submanifold=False)


def _build_rulebook(
    inputs: Sites, outputs: Sites, kernel: Size3, stride: Size3, padding: Size3, *, submanifold: bool
) -> Rulebook:
    back_end = find_back_end("rulebook", inputs.cell)
    first, second, count = back_end.build_kernel_map(inputs, outputs, kernel, stride, padding, submanifold=submanifold)
    start = (0, *count.cumsum(0).tolist())
    centre = prod(kernel) // 2 if submanifold else None
    return Rulebook(first, second, start, len(inputs), outputs, kernel, centre)


def _compute_output_shape(shape: Size3, kernel: Size3, stride: Size3, padding: Size3) -> Size3:
    if any(pad >= size for pad, size in zip(padding, kernel, strict=True)):
        raise ValueError(f"sparse convolution: padding {padding} must be smaller than the kernel {kernel}")
    sizes = zip(shape, kernel, stride, padding, strict=True)
    nz, ny, nx = ((cells + 2 * pad - size) // step + 1 for cells, size, step, pad in sizes)
    if min(nz, ny, nx) < 1:
        raise ValueError(f"sparse convolution: a kernel {kernel} finds no place in {shape} cells padded by {padding}")
    return nz, ny, nx
