"""A frame and its mirror images -> the average of the CenterMaps that the network predicts for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from pcdet_poly.ops.heading_bins import decode_heading
from pcdet_poly.structures import Batch, CenterMaps, join_groups

Flips = Literal["none", "x", "y", "xy"]
# Factors of x and y in each view of a frame. Mirrored along x, y becomes -y.
VIEWS: dict[Flips, tuple[tuple[int, int], ...]] = {
    "none": ((1, 1),),
    "x": ((1, 1), (1, -1)),
    "y": ((1, 1), (-1, 1)),
    "xy": ((1, 1), (1, -1), (-1, 1), (-1, -1)),
}


def average_over_flips(model: nn.Module, batch: Batch, flips: Flips) -> CenterMaps:
    """Run `model` on every mirror image of `batch`, mirror the maps back and average them, in float32.

    Heatmaps are averaged as probabilities and turned back into logits, headings as directions, which also replaces
    bins by sine and cosine, sizes as logarithms, and everything else as it is.

    Args:
        model: from a Batch to CenterMaps; its output grid must be its own mirror image.
        batch: points in the vehicle frame.
        flips: axes to mirror along.

    Returns:
        Maps of the batch as it is, headings as sine and cosine.
    """
    return average_maps([mirror_back(model(_mirror_points(batch, view)), view) for view in VIEWS[flips]])


def _mirror_points(batch: Batch, view: tuple[int, int]) -> Batch:
    """Mirror the points; labels, which a network does not see, stay as they are."""
    factors = torch.ones(batch.points.shape[1], device=batch.points.device)
    factors[:2] = torch.tensor(view)
    return replace(batch, points=batch.points * factors)


def mirror_back(maps: CenterMaps, view: tuple[int, int]) -> CenterMaps:
    """Turn maps of a mirrored frame into maps of the frame itself, headings as sine and cosine."""
    return join_groups([_mirror_group(group, view) for group in maps.split_groups()], maps.group_of_class)


def _mirror_group(maps: CenterMaps, view: tuple[int, int]) -> CenterMaps:
    turned = [axis for axis, factor in zip((3, 2), view, strict=True) if factor < 0]
    x_y = maps.offset.new_tensor(view, dtype=torch.float32)[:, None, None]

    def turn_back(values: Tensor) -> Tensor:
        return values.float().flip(turned)

    return CenterMaps(
        heatmap=turn_back(maps.heatmap),
        offset=(turn_back(maps.offset) - 0.5) * x_y + 0.5,
        z=turn_back(maps.z),
        size=turn_back(maps.size),
        heading=turn_back(_to_sin_cos(maps.heading)) * x_y.flip(0),  # sine goes with y, cosine with x
        iou=None if maps.iou is None else turn_back(maps.iou),
        velocity=None if maps.velocity is None else turn_back(maps.velocity) * x_y,
    )


def average_maps(views: Sequence[CenterMaps]) -> CenterMaps:
    """Average maps of one frame, as `average_over_flips` describes it."""

    def average(name: str) -> Tensor:
        return torch.stack([getattr(maps, name) for maps in views]).mean(dim=0)

    return CenterMaps(
        heatmap=average_probability(torch.stack([maps.heatmap for maps in views])),
        offset=average("offset"),
        z=average("z"),
        size=average("size"),
        heading=average("heading"),
        iou=None if views[0].iou is None else average("iou"),
        velocity=None if views[0].velocity is None else average("velocity"),
        group_of_class=views[0].group_of_class,
    )


def average_probability(logits: Tensor) -> Tensor:
    """Average L probabilities, given as logits (L, ...): the logit (...), exact where a sigmoid would be 0 or 1."""
    yes = torch.logsumexp(nn.functional.logsigmoid(logits), dim=0)
    no = torch.logsumexp(nn.functional.logsigmoid(-logits), dim=0)
    return yes - no


def _to_sin_cos(heading: Tensor) -> Tensor:
    """Turn the C channels of a heading, (B, C, H, W), into its sine and cosine, (B, 2, H, W)."""
    if heading.shape[1] == 2:
        return heading
    heading_rad = decode_heading(heading.float().movedim(1, -1))  # (B, H, W)
    return torch.stack([heading_rad.sin(), heading_rad.cos()], dim=1)
