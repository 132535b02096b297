"""Kernel maps of sparse convolutions in torch alone, on any device: binary search in the sorted cells."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.structures import Sites

Size3 = tuple[int, int, int]  # along z, y, x


def find_reached_cells(sites: Sites, out_shape: Size3, kernel: Size3, stride: Size3, padding: Size3) -> Tensor:
    """Find the output cells that the input cells reach. The host waits for their number.

    Args:
        sites: V active cells of the input.
        out_shape: cells of the output grid.
        kernel: cells of the kernel.
        stride: input cells from one output cell to the next.
        padding: empty cells before the first and after the last.

    Returns:
        (V',) int64 ascending.
    """
    frame, *position = sites.coordinates().T
    cell, inside = frame, torch.ones_like(frame, dtype=torch.bool)
    offsets = _list_elements(kernel, frame.device)
    for i, axis in enumerate(position):
        ahead = axis + padding[i] - offsets[i]  # (K, V): output position times stride
        out = ahead.div(stride[i], rounding_mode="floor")
        inside = inside & (ahead % stride[i] == 0) & (out >= 0) & (out < out_shape[i])
        cell = cell * out_shape[i] + out
    return torch.unique(cell[inside])


def build_kernel_map(
    inputs: Sites, outputs: Sites, kernel: Size3, stride: Size3, padding: Size3, *, submanifold: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Pair input rows with the output rows they add to, by kernel element, then output.

    The host waits for the number of pairs, and for how many there are per element.

    Args:
        inputs: V active cells of the input.
        outputs: V' active cells of the output.
        kernel: cells of the kernel, K in all.
        stride: input cells from one output cell to the next.
        padding: empty cells before the first and after the last.
        submanifold: whether the output's cells are the input's; makes no difference here.

    Returns:
        Input rows and output rows (M,) int32; pairs per element (K,) int64 on the host.
    """
    frame, *position = outputs.coordinates().T
    wanted, inside = frame, torch.ones_like(frame, dtype=torch.bool)
    offsets = _list_elements(kernel, frame.device)
    for i, axis in enumerate(position):
        read = axis * stride[i] - padding[i] + offsets[i]  # (K, V')
        inside = inside & (read >= 0) & (read < inputs.shape[i])
        wanted = wanted * inputs.shape[i] + read
    row = torch.searchsorted(inputs.cell, wanted)
    known = torch.cat([inputs.cell, inputs.cell.new_full((1,), -1)])  # beyond the last: no cell
    found = inside & (known[row] == wanted)
    element, output = found.nonzero(as_tuple=True)
    return row[element, output].int(), output.int(), found.sum(1).cpu()


def _list_elements(kernel: Size3, device: torch.device) -> list[Tensor]:
    """List z, y and x of each kernel element, three tensors (K, 1)."""
    axes = torch.meshgrid(*(torch.arange(size, device=device) for size in kernel), indexing="ij")
    return [axis.reshape(-1, 1) for axis in axes]
