"""A frame and its mirror images -> CenterMaps that are the average of what the network says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from pcdet_poly.ops.heading_bins import heading_of
from pcdet_poly.structures import Batch, CenterMaps

Flips = Literal["none", "x", "y", "xy"]
# Factors of x and y in each look at a frame. Mirrored along x, y becomes -y.
LOOKS: dict[Flips, tuple[tuple[int, int], ...]] = {
    "none": ((1, 1),),
    "x": ((1, 1), (1, -1)),
    "y": ((1, 1), (-1, 1)),
    "xy": ((1, 1), (1, -1), (-1, 1), (-1, -1)),
}


def maps_over_flips(model: nn.Module, batch: Batch, flips: Flips) -> CenterMaps:
    """`model` on every look at `batch`, one after the other, mirrored back and averaged, in float32.

    The output grid must be its own mirror image. Averages: the heatmap as probabilities, then back to
    logits; headings as directions, which also replace bins by sine and cosine; all else as it is, sizes
    as logarithms.
    """
    return average_maps([mirrored_back(model(_mirrored(batch, look)), look) for look in LOOKS[flips]])


def _mirrored(batch: Batch, look: tuple[int, int]) -> Batch:
    """The points mirrored; labels, which a network does not see, left as they are."""
    factors = torch.ones(batch.points.shape[1], device=batch.points.device)
    factors[:2] = torch.tensor(look)
    return replace(batch, points=batch.points * factors)


def mirrored_back(maps: CenterMaps, look: tuple[int, int]) -> CenterMaps:
    """Maps of a mirrored frame -> maps of the frame itself, headings as sine and cosine."""
    turned = [axis for axis, factor in zip((3, 2), look, strict=True) if factor < 0]
    x_y = maps.offset.new_tensor(look, dtype=torch.float32)[:, None, None]

    def back(values: Tensor) -> Tensor:
        return values.float().flip(turned)

    return CenterMaps(
        heatmap=back(maps.heatmap),
        offset=(back(maps.offset) - 0.5) * x_y + 0.5,
        z=back(maps.z),
        size=back(maps.size),
        heading=back(_sin_cos(maps.heading)) * x_y.flip(0),  # sine goes with y, cosine with x
        iou=None if maps.iou is None else back(maps.iou),
        velocity=None if maps.velocity is None else back(maps.velocity) * x_y,
    )


def average_maps(looks: Sequence[CenterMaps]) -> CenterMaps:
    """The average of maps of one frame, as `maps_over_flips` says it."""

    def mean(name: str) -> Tensor:
        return torch.stack([getattr(maps, name) for maps in looks]).mean(dim=0)

    return CenterMaps(
        heatmap=mean_probability(torch.stack([maps.heatmap for maps in looks])),
        offset=mean("offset"),
        z=mean("z"),
        size=mean("size"),
        heading=mean("heading"),
        iou=None if looks[0].iou is None else mean("iou"),
        velocity=None if looks[0].velocity is None else mean("velocity"),
    )


def mean_probability(logits: Tensor) -> Tensor:
    """Logits (L, ...) -> logit of the mean of their L sigmoids, (...), exact where a sigmoid would be 0 or 1."""
    yes = torch.logsumexp(nn.functional.logsigmoid(logits), dim=0)
    no = torch.logsumexp(nn.functional.logsigmoid(-logits), dim=0)
    return yes - no


def _sin_cos(heading: Tensor) -> Tensor:
    """Heading channels (B, C, H, W) -> sine and cosine (B, 2, H, W)."""
    if heading.shape[1] == 2:
        return heading
    heading_rad = heading_of(heading.float().movedim(1, -1))  # (B, H, W)
    return torch.stack([heading_rad.sin(), heading_rad.cos()], dim=1)
