"""Points -> pillar features: a small PointNet per pillar."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.models.layers.pillar_layer import PillarLayer
from pcdet_poly.models.layers.pillar_padding import Pooled, start_padding
from pcdet_poly.models.layers.shared_inputs import SharesInputs
from pcdet_poly.ops.pillars import linear_max, linear_relu_pool, sort_and_decorate
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Voxels


class PillarEncoder(SharesInputs):
    """Pillar encoder: layers of linear map, batch norm and ReLU on points, then the maximum over each pillar.

    Each point's inputs are its columns, its offset from the mean of its pillar's points and its
    offset from the pillar's centre. A layer that is not the last makes half its width per point
    and appends the pillar's maximum of it. With `max_points`, every pillar has so many rows: its first points, then
    rows without a point. With `any_height`, points above and below the grid are in its pillars too. With 2
    `centre_offsets`, the offset from the centre is that in x and y.
    Shapes: P points, K of them in pillars, V pillars, C channels.
    """

    def __init__(
        self,
        point_channels: int,
        channels: Sequence[int],
        *,
        max_points: int | None = None,
        any_height: bool = False,
        centre_offsets: int = 3,
    ) -> None:
        super().__init__()
        self.point_channels, self.max_points, self.any_height = point_channels, max_points, any_height
        widths = [width // 2 for width in channels[:-1]] + [channels[-1]]
        inputs = [point_channels + 3 + centre_offsets, *channels[:-1]]
        self.layers = nn.ModuleList(PillarLayer(*sizes) for sizes in zip(inputs, widths, strict=True))

    @classmethod
    def from_config(cls, point_channels: int, cfg: PillarsConfig) -> PillarEncoder:
        """Build the encoder that `cfg` describes, for points of so many columns."""
        max_points = cfg.max_points if cfg.encoder == "hard" else None
        any_height = cfg.encoder == "dynamic_any_height"
        return cls(
            point_channels,
            cfg.encoder_channels,
            max_points=max_points,
            any_height=any_height,
            centre_offsets=len(cfg.centre_offsets),
        )

    def group_points(self, points: Tensor, frame_of_point: Tensor, grid: Grid, num_frames: int) -> Voxels:
        """Group the points of all frames by pillar, as this encoder takes them.

        Args:
            points: (P, C) with x, y, z first, metres, in the grid's frame.
            frame_of_point: (P,) int64.
            grid: pillars, one layer of cells.
            num_frames: B.
        """
        return voxelize(
            points, frame_of_point, grid, num_frames, max_points=self.max_points, any_height=self.any_height
        )

    def forward(self, points: Tensor, voxels: Voxels) -> Tensor:
        """Points (P, C) and the pillars they lie in -> (V, channels[-1]); points in no pillar are left out."""
        # The points of a batch follow from its voxels.
        features, pillars = self.compute_once(
            "points", (voxels,), lambda: sort_and_decorate(points, voxels)
        )  # (K, C + 7)
        rows, num_rows, padding, pooled = pillars.num_points, len(features), None, None
        if self.max_points is not None:
            padding = start_padding(features, rows, self.max_points)
            rows, num_rows = torch.full_like(rows, self.max_points), self.max_points * len(pillars)
        for layer in self.layers[:-1]:
            weight, shift = layer(features, pooled, rows, num_rows)
            features, *pools = linear_relu_pool(features, weight, shift, pillars, with_product=self.training)
            pooled = Pooled(*pools)
            if padding is not None:
                padding = padding.apply_layer(weight, shift)
                pooled = padding.add_to(pooled)
        weight, shift = self.layers[-1](features, pooled, rows, num_rows)
        highest = linear_max(features, weight, pillars)
        if padding is not None:
            highest = padding.raise_maximum(highest, padding.values @ weight.T)
        return (highest + shift).relu()
