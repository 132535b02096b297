"""Kernel maps of sparse convolutions on the CPU.

Both lists of cells are ascending, and the input cell that a kernel element reads ascends with the
output cell: one pointer into the input moves along, and neither a hash nor a search is needed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.ops.compiler.kernel import kernel as compiled
from pcdet_poly.ops.cpu.bitmap import count_bits
from pcdet_poly.structures import Sites

Array = np.ndarray
Size3 = tuple[int, int, int]  # along z, y, x


def find_reached_cells(sites: Sites, out_shape: Size3, kernel: Size3, stride: Size3, padding: Size3) -> Tensor:
    """Find the output cells that the input cells reach.

    Args:
        sites: V active cells of the input.
        out_shape: cells of the output grid.
        kernel: cells of the kernel.
        stride: input cells from one output cell to the next.
        padding: empty cells before the first and after the last.

    Returns:
        (V',) int64 ascending.
    """
    cells = (sites.cell.numpy(), sites.num_frames, sites.shape)
    return torch.from_numpy(_find_reached_cells(*cells, out_shape, kernel, stride, padding))


def build_kernel_map(
    inputs: Sites, outputs: Sites, kernel: Size3, stride: Size3, padding: Size3, *, submanifold: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Pair input rows with the output rows they add to, by kernel element, then output.

    Args:
        inputs: V active cells of the input.
        outputs: V' active cells of the output.
        kernel: cells of the kernel, K in all.
        stride: input cells from one output cell to the next.
        padding: empty cells before the first and after the last.
        submanifold: whether the output's cells are the input's; half of the pairs then follow from the other half.

    Returns:
        Input rows and output rows (M,) int32; pairs per element (K,) int64.
    """
    geometry = (inputs.shape, outputs.shape, kernel, stride, padding)
    first, second, count = _build_kernel_map(inputs.cell.numpy(), outputs.cell.numpy(), *geometry, submanifold)
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(count)


@compiled
def _find_reached_cells(
    cell: Array, num_frames: int, shape: Size3, out_shape: Size3, kernel: Size3, stride: Size3, padding: Size3
) -> Array:
    """Find the output cells (V',) int64 ascending that the input cells (V,) reach.

    They are marked as bits, then read in order.
    """
    nz, ny, nx = out_shape
    marked = np.zeros(num_frames * nz * ny * nx // 64 + 1, np.uint64)
    for i in range(len(cell)):
        x, row = cell[i] % shape[2], cell[i] // shape[2]
        y, layer = row % shape[1], row // shape[1]
        z, frame = layer % shape[0], layer // shape[0]
        first_z, last_z = _find_reaching_range(z, kernel[0], stride[0], padding[0], nz)
        first_y, last_y = _find_reaching_range(y, kernel[1], stride[1], padding[1], ny)
        first_x, last_x = _find_reaching_range(x, kernel[2], stride[2], padding[2], nx)
        for oz in range(first_z, last_z + 1):
            for oy in range(first_y, last_y + 1):
                start = ((frame * nz + oz) * ny + oy) * nx
                for ox in range(start + first_x, start + last_x + 1):
                    marked[ox >> 6] |= np.uint64(1) << np.uint64(ox & 63)
    return _list_members(marked)


@compiled
def _find_reaching_range(i: int, size: int, step: int, pad: int, count: int) -> tuple[int, int]:
    """Find the first and last output o in [0, count) with o * step - pad <= i < o * step - pad + size."""
    return max((i + pad - size) // step + 1, 0), min((i + pad) // step, count - 1)


@compiled
def _list_members(words: Array) -> Array:
    """List the positions of the bits set, ascending."""
    total = np.int64(0)
    for w in range(len(words)):
        total += np.int64(count_bits(words[w]))
    members = np.empty(total, np.int64)
    found = 0
    for w in range(len(words)):
        word = words[w]
        while word:
            rest = word & (word - np.uint64(1))  # without its lowest bit
            members[found] = w * 64 + np.int64(count_bits((word ^ rest) - np.uint64(1)))
            found += 1
            word = rest
    return members


@compiled
def _build_kernel_map(
    cell: Array,
    out_cell: Array,
    shape: Size3,
    out_shape: Size3,
    kernel: Size3,
    stride: Size3,
    padding: Size3,
    submanifold: bool,
) -> tuple[Array, Array, Array]:
    """Pair input rows and output rows (M,) int32 by kernel element, then output; count them per element (K,) int64."""
    height, width = kernel[1], kernel[2]
    num_rows = kernel[0] * height  # of kernel elements
    corner = _find_corners(out_cell, shape, out_shape, stride, padding)
    # Room for all that could be; what is not written to takes no memory.
    inputs = np.empty((num_rows * width, len(out_cell)), np.int32)
    outputs = np.empty((num_rows * width, len(out_cell)), np.int32)
    count = np.zeros(num_rows * width, np.int64)
    for row in range(num_rows // 2 + 1 if submanifold else num_rows):
        first, last = row * width, (row + 1) * width
        place = (inputs[first:last], outputs[first:last], count[first:last])
        _pair_kernel_row(cell, corner, shape, row // height, row % height, *place)
    if not submanifold:
        return _join_rows(inputs, count), _join_rows(outputs, count), count
    for element in range((num_rows // 2 + 1) * width, num_rows * width):  # opposite elements swap their ends
        opposite = num_rows * width - 1 - element
        inputs[element], outputs[element] = outputs[opposite], inputs[opposite]
        count[element] = count[opposite]
    return _join_rows(inputs, count), _join_rows(outputs, count), count


@compiled
def _find_corners(out_cell: Array, shape: Size3, out_shape: Size3, stride: Size3, padding: Size3) -> Array:
    """Find frame, and z, y, x of the input cell under kernel element 0, which may lie outside: (V', 4) int32."""
    corner = np.empty((len(out_cell), 4), np.int32)
    for o in range(len(out_cell)):
        row, x = out_cell[o] // out_shape[2], out_cell[o] % out_shape[2]
        layer, y = row // out_shape[1], row % out_shape[1]
        frame, z = layer // out_shape[0], layer % out_shape[0]
        corner[o, 0], corner[o, 1] = frame, z * stride[0] - padding[0]
        corner[o, 2], corner[o, 3] = y * stride[1] - padding[1], x * stride[2] - padding[2]
    return corner


@compiled
def _pair_kernel_row(
    cell: Array, corner: Array, shape: Size3, kz: int, ky: int, inputs: Array, outputs: Array, count: Array
) -> None:
    """Find all pairs of the elements (kz, ky, 0 ... width - 1)."""
    nz, ny, nx = shape
    i = 0
    for o in range(len(corner)):
        z, y, x = corner[o, 1] + kz, corner[o, 2] + ky, corner[o, 3]
        if z < 0 or z >= nz or y < 0 or y >= ny:
            continue
        start = ((np.int64(corner[o, 0]) * nz + z) * ny + y) * nx
        first, last = start + max(x, 0), start + min(x + len(count), nx)
        while i < len(cell) and cell[i] < first:
            i += 1
        j = i
        while j < len(cell) and cell[j] < last:
            kx = cell[j] - start - x
            inputs[kx, count[kx]], outputs[kx, count[kx]] = j, o
            count[kx] += 1
            j += 1


@compiled
def _join_rows(rows: Array, count: Array) -> Array:
    """Join the first count[k] of each row k, one after the other."""
    joined = np.empty(count.sum(), np.int32)
    begin = 0
    for k in range(len(count)):
        joined[begin : begin + count[k]] = rows[k, : count[k]]
        begin += count[k]
    return joined
