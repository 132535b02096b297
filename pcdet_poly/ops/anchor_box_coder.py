"""Boxes <-> residuals from anchors, and headings <-> sectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import check_shape


def encode_anchor_boxes(box: Tensor, anchor: Tensor) -> Tensor:
    """Encode boxes (..., 7) as residuals from anchors (..., 7), sizes > 0 -> (..., 7), of their type.

    x and y are divided by the anchor's diagonal, z by its height; sizes are logs of ratios; the
    heading is a difference in radians, of any size. Source: Yan et al., SECOND, 2018, section 3.2.
    """
    check_shape("encode_anchor_boxes", "box", box, "... 7")
    check_shape("encode_anchor_boxes", "anchor", anchor, "... 7")
    centre = (box[..., :3] - anchor[..., :3]) / _scale(anchor)
    size = (box[..., 3:6] / anchor[..., 3:6]).log()
    return torch.cat([centre, size, box[..., 6:] - anchor[..., 6:]], dim=-1)


def decode_anchor_boxes(code: Tensor, anchor: Tensor) -> Tensor:
    """Decode boxes from residuals, the inverse of `encode_anchor_boxes`.

    Log ratios are cut to +-5 (1/148 to 148 times the anchor), so that a network gone astray gives no infinite box.
    """
    check_shape("decode_anchor_boxes", "code", code, "... 7")
    check_shape("decode_anchor_boxes", "anchor", anchor, "... 7")
    centre = code[..., :3] * _scale(anchor) + anchor[..., :3]
    size = code[..., 3:6].clamp(-5, 5).exp() * anchor[..., 3:6]
    return torch.cat([centre, size, code[..., 6:] + anchor[..., 6:]], dim=-1)


def _scale(anchor: Tensor) -> Tensor:
    diagonal = anchor[..., 3:5].norm(dim=-1, keepdim=True)
    return torch.cat([diagonal, diagonal, anchor[..., 5:6]], dim=-1)


def find_sector(heading_rad: Tensor, num_sectors: int, offset_rad: float) -> Tensor:
    """Find which of some equal sectors a heading lies in.

    Args:
        heading_rad: (...).
        num_sectors: how many sectors make the circle.
        offset_rad: where sector 0 begins; the others follow counter-clockwise.

    Returns:
        (...) int64.
    """
    _check_sectors("find_sector", num_sectors)
    turned = torch.remainder(heading_rad - offset_rad, 2 * math.pi)
    return (turned / (2 * math.pi / num_sectors)).long().clamp(max=num_sectors - 1)


def turn_into_sector(heading_rad: Tensor, sector: Tensor, num_sectors: int, offset_rad: float) -> Tensor:
    """Turn a heading by whole sectors until it lies in a given one.

    Args:
        heading_rad: (...).
        sector: (...) int64, the sector to lie in.
        num_sectors: how many sectors make the circle.
        offset_rad: where sector 0 begins.

    Returns:
        (...) radians, in [-pi, pi].
    """
    _check_sectors("turn_into_sector", num_sectors)
    width = 2 * math.pi / num_sectors
    inside = torch.remainder(heading_rad - offset_rad, width)
    number = sector.to(torch.promote_types(heading_rad.dtype, torch.float32))  # an integer times a float is float32
    turned = inside + offset_rad + width * number
    return torch.remainder(turned + math.pi, 2 * math.pi) - math.pi


def _check_sectors(operation: str, num_sectors: int) -> None:
    if num_sectors < 1:
        raise ValueError(f"{operation}: num_sectors = {num_sectors}; give at least 1")
