"""Active cells -> which cell feeds which through each element of a convolution's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from pcdet_poly.ops.cpu import sparse_rules as cpu
from pcdet_poly.ops.gpu import sparse_rules as gpu
from pcdet_poly.ops.gpu.sparse_spconv import Pairs, pairs_of
from pcdet_poly.structures import Sites

Size3 = tuple[int, int, int]  # along z, y, x


@dataclass(frozen=True)
class Rules:
    """Pairs of an input row and the output row it adds to, sorted by kernel element, then by output.

    Within one element no input and no output comes twice, so adding element by element has one order.
    """

    input: Tensor  # (M,) int32 rows of the convolution's input
    output: Tensor  # (M,) int32 rows of its output
    start: tuple[int, ...]  # K + 1: element k = (kz * height + ky) * width + kx has the pairs start[k] to start[k + 1]
    num_inputs: int
    sites: Sites  # of the output
    kernel: Size3
    centre: int | None  # of a submanifold kernel: the element with the pairs (0, 0), (1, 1), ... of all rows

    @cached_property
    def spconv_pairs(self) -> Pairs:
        """The same as spconv takes them."""
        return pairs_of(self.input, self.output, self.start)


def submanifold_rules(sites: Sites, kernel: Size3) -> Rules:
    """Rules of a convolution whose output has its input's cells; odd kernel, stride 1."""
    if any(size % 2 == 0 for size in kernel):
        raise ValueError(f"submanifold_rules: kernel {kernel} has no centre; use odd sizes")
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return _rules(sites, sites, kernel, (1, 1, 1), padding, submanifold=True)


def strided_rules(sites: Sites, kernel: Size3, stride: Size3, padding: Size3) -> Rules:
    """Rules of a convolution whose output has every cell that some active cell reaches.

    Output cell o and kernel element k read input cell o * stride - padding + k, along each axis; the
    output has (n + 2 * padding - kernel) // stride + 1 cells, as that of torch's conv3d.
    """
    shape = _output_shape(sites.shape, kernel, stride, padding)
    if sites.cell.device.type == "cpu":
        geometry = (sites.shape, shape, kernel, stride, padding)
        cell = torch.from_numpy(cpu.reached(sites.cell.numpy(), sites.num_frames, *geometry))
    else:
        cell = gpu.reached(sites, shape, kernel, stride, padding)
    return _rules(sites, Sites(cell, shape, sites.num_frames), kernel, stride, padding, submanifold=False)


def _rules(inputs: Sites, outputs: Sites, kernel: Size3, stride: Size3, padding: Size3, *, submanifold: bool) -> Rules:
    if inputs.cell.device.type == "cpu":
        geometry = (inputs.shape, outputs.shape, kernel, stride, padding)
        arrays = cpu.pairs(inputs.cell.numpy(), outputs.cell.numpy(), *geometry, submanifold)
        first, second, count = map(torch.from_numpy, arrays)
    else:
        first, second, count = gpu.pairs(inputs, outputs, kernel, stride, padding)
    start = (0, *count.cumsum(0).tolist())
    centre = prod(kernel) // 2 if submanifold else None
    return Rules(first, second, start, len(inputs), outputs, kernel, centre)


def _output_shape(shape: Size3, kernel: Size3, stride: Size3, padding: Size3) -> Size3:
    if any(pad >= size for pad, size in zip(padding, kernel, strict=True)):
        raise ValueError(f"strided_rules: padding {padding} must be smaller than the kernel {kernel}")
    sizes = zip(shape, kernel, stride, padding, strict=True)
    nz, ny, nx = ((cells + 2 * pad - size) // step + 1 for cells, size, step, pad in sizes)
    if min(nz, ny, nx) < 1:
        raise ValueError(f"strided_rules: a kernel {kernel} finds no place in {shape} cells padded by {padding}")
    return nz, ny, nx
