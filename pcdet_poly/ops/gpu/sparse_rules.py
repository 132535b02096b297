"""Rules of sparse convolutions in torch alone, on any device: binary search in the sorted cells."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.structures import Sites

Size3 = tuple[int, int, int]  # along z, y, x


def reached(sites: Sites, out_shape: Size3, kernel: Size3, stride: Size3, padding: Size3) -> Tensor:
    """Output cells (V',) int64 ascending that the input cells reach. The host waits for their number."""
    frame, *position = sites.coordinates().T
    cell, inside = frame, torch.ones_like(frame, dtype=torch.bool)
    offsets = _elements(kernel, frame.device)
    for i, axis in enumerate(position):
        ahead = axis + padding[i] - offsets[i]  # (K, V): output position times stride
        out = ahead.div(stride[i], rounding_mode="floor")
        inside = inside & (ahead % stride[i] == 0) & (out >= 0) & (out < out_shape[i])
        cell = cell * out_shape[i] + out
    return torch.unique(cell[inside])


def pairs(inputs: Sites, outputs: Sites, kernel: Size3, stride: Size3, padding: Size3) -> tuple[Tensor, Tensor, Tensor]:
    """Input rows and output rows (M,) int32 by kernel element, then output; pairs per element (K,) int64 on the host.

    The host waits for the number of pairs, and for how many there are per element.
    """
    frame, *position = outputs.coordinates().T
    wanted, inside = frame, torch.ones_like(frame, dtype=torch.bool)
    offsets = _elements(kernel, frame.device)
    for i, axis in enumerate(position):
        read = axis * stride[i] - padding[i] + offsets[i]  # (K, V')
        inside = inside & (read >= 0) & (read < inputs.shape[i])
        wanted = wanted * inputs.shape[i] + read
    row = torch.searchsorted(inputs.cell, wanted)
    known = torch.cat([inputs.cell, inputs.cell.new_full((1,), -1)])  # beyond the last: no cell
    found = inside & (known[row] == wanted)
    element, output = found.nonzero(as_tuple=True)
    return row[element, output].int(), output.int(), found.sum(1).cpu()


def _elements(kernel: Size3, device: torch.device) -> list[Tensor]:
    """Three tensors (K, 1): z, y and x of each kernel element."""
    axes = torch.meshgrid(*(torch.arange(size, device=device) for size in kernel), indexing="ij")
    return [axis.reshape(-1, 1) for axis in axes]
