"""Boxes <-> the codes of a centre head, relative to a cell of the output map."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_lengths, check_shape
from pcdet_poly.ops.heading_bins import decode_heading
from pcdet_poly.structures import Grid

SizeCode = Literal["log", "metres"]
LARGEST_LOG = 5  # of a length, width or height that is read from a network: 7 mm to 148 m


def encode_center_boxes(box: Tensor, offset: Tensor) -> Tensor:
    """Encode boxes (N, 7) and their centres' offsets in the cell (N, 2), in cells -> (N, 8), as CenterTargets.code."""
    check_shape("encode_center_boxes", "box", box, "N 7")
    check_shape("encode_center_boxes", "offset", offset, "N 2")
    check_lengths("encode_center_boxes", box=box, offset=offset)
    sin, cos = box[:, 6:7].sin(), box[:, 6:7].cos()
    return torch.cat([offset, box[:, 2:3], box[:, 3:6].log(), sin, cos], dim=1)


def decode_center_boxes(code: Tensor, cell: Tensor, grid: Grid) -> Tensor:
    """Decode boxes, the inverse of `encode_center_boxes`.

    Sizes are cut to 7 mm to 148 m, so that a network gone astray gives no infinite box.

    Args:
        code: (..., 6 + C), as CenterTargets.code or CenterMaps.box_code.
        cell: (...) int64 cell of the output map, row * nx + column.
        grid: cells of the output map.

    Returns:
        (..., 7) boxes in the grid's frame.
    """
    check_shape("decode_center_boxes", "code", code, "... 8+")
    if cell.shape != code.shape[:-1]:
        raise ValueError(f"decode_center_boxes: {tuple(cell.shape)} cells for codes {tuple(code.shape)}")
    offset, z, size, heading = code[..., :2], code[..., 2:3], code[..., 3:6], code[..., 6:]
    row_column = torch.stack([cell % grid.shape[0], cell // grid.shape[0]], dim=-1)
    centre = (row_column + offset) * offset.new_tensor(grid.cell[:2]) + offset.new_tensor(grid.lower[:2])
    return torch.cat([centre, z, decode_sizes(size, "log"), decode_heading(heading)[..., None]], dim=-1)


def encode_sizes(size: Tensor, code: SizeCode) -> Tensor:
    """Encode lengths, widths and heights (..., 3) in metres as a head predicts them."""
    check_shape("encode_sizes", "size", size, "... 3")
    return size.log() if code == "log" else size


def decode_sizes(values: Tensor, code: SizeCode) -> Tensor:
    """Decode lengths, widths and heights (..., 3) in metres, the inverse of `encode_sizes`, cut to 7 mm to 148 m."""
    check_shape("decode_sizes", "values", values, "... 3")
    if code == "log":
        return values.clamp(-LARGEST_LOG, LARGEST_LOG).exp()
    return values.clamp(math.exp(-LARGEST_LOG), math.exp(LARGEST_LOG))
