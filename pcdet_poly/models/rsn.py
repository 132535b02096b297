"""Range Sparse Net: Batch -> RsnMaps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.models.layers.eager import run_eagerly
from pcdet_poly.models.layers.rsn.range_net import RsnRangeNet
from pcdet_poly.models.layers.rsn.sparse_blocks import RsnSparseBlocks
from pcdet_poly.models.layers.rsn.voxel_encoder import RsnVoxelEncoder
from pcdet_poly.models.layers.sparse_layers import SparseNorm
from pcdet_poly.ops.scatter import take_rows
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Batch, Grid, RsnMaps, SparseTensor, Voxels
from pcdet_poly.targets.rsn_assigner import find_points_with_pixel, mark_points_in_boxes

IMAGE_CHANNELS = 3  # range, intensity, elongation
POINT_COLUMNS = 5  # x, y, z and two that the image has; whatever follows (time) goes to the voxel encoder


class Rsn(nn.Module):
    """RSN (Sun et al., CVPR 2021). Only points that the range image calls foreground reach the 3D part.

    In training the points in labelled boxes go on as well: before it has learned to tell, the
    segmentation lets nothing through, and the 3D part would learn nothing. The choice itself has no
    gradient; the features of the chosen points have.
    """

    def __init__(self, cfg: RsnConfig, grid: Grid, *, point_channels: int = 5, channels_last: bool = False) -> None:
        super().__init__()
        self.grid, self.stride = grid, cfg.stride
        self.foreground_score = cfg.foreground_score
        self.backbone = RsnRangeNet(IMAGE_CHANNELS, cfg.image)
        self.foreground = nn.Linear(cfg.image.out_channels, 1)  # a 1 x 1 convolution on the pixels that show a point
        self.encoder = RsnVoxelEncoder(
            cfg.image.out_channels + point_channels - POINT_COLUMNS, cfg.channels, cfg.encoder_layers
        )
        self.blocks = RsnSparseBlocks(cfg.channels, cfg.blocks, depth=1 if grid.shape[2] == 1 else 3)
        self.head = RsnHead(cfg.channels, cfg.heading_bins, hidden=cfg.hidden_head)
        for bias in (self.foreground.bias[0], self.head.output.bias[0]):
            nn.init.constant_(bias, math.log(cfg.prior / (1 - cfg.prior)))
        if cfg.sizes == "metres":
            nn.init.ones_(self.head.output.bias[4:7])  # of 1 m at the start, as the logarithms are
        if channels_last:
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: Batch) -> RsnMaps:
        """Compute the maps of every frame of a batch."""
        assert batch.range_images is not None  # data.collate makes them where the config's model is this one
        features = self.backbone(batch.range_images.image)  # (I, C, H, W)
        return self.compute_maps(features, batch)

    @run_eagerly  # kernels of our own, and sizes that differ from step to step
    def compute_maps(self, image: Tensor, batch: Batch) -> RsnMaps:
        """Compute the maps from the features (I, C, H, W) of all pixels, in float32."""
        assert batch.range_images is not None
        pixel, point = batch.range_images.pixel_of_point, find_points_with_pixel(batch)
        with torch.autocast(image.device.type, enabled=False):
            features = take_rows(image.permute(0, 2, 3, 1).flatten(0, 2), pixel[point]).float()  # (S, C)
            logit = self.foreground(features)[:, 0]
            chosen = self._choose_points(logit.detach(), batch)
            tensor = self.blocks(self._encode(batch, point[chosen], features[chosen]))
            heatmap, offset, size, heading = self.head(tensor)
        centre = compute_site_centres(tensor, self.grid, self.stride)
        return RsnMaps(logit, tensor.sites, centre, heatmap[:, 0], offset, size, heading)

    def _choose_points(self, logit: Tensor, batch: Batch) -> Tensor:
        """Return the rows, of S, of the points that go on to the 3D part."""
        good = logit.sigmoid() >= self.foreground_score
        if self.training:
            good |= mark_points_in_boxes(batch)
        return good.nonzero()[:, 0]

    def _encode(self, batch: Batch, point: Tensor, features: Tensor) -> SparseTensor:
        """Encode the chosen points, with their features, as voxels; those outside the grid are left out."""
        points, frame = batch.points[point], batch.frame_of_point[point]
        voxels = voxelize(points, frame, self.grid, batch.size)
        inside = (voxels.voxel_of_point >= 0).nonzero()[:, 0]
        voxels = Voxels(voxels.cell, voxels.voxel_of_point[inside], voxels.num_points, self.grid, batch.size)
        inputs = torch.cat([features, points[:, POINT_COLUMNS:]], dim=1)[inside]
        tensor: SparseTensor = self.encoder(points[inside, :3], inputs, voxels)
        return tensor


class RsnHead(nn.Module):
    """Sparse features -> heatmap and box code of each voxel: a linear layer, perhaps with a hidden one before it."""

    def __init__(self, channels: int, heading_bins: int, *, hidden: bool = True) -> None:
        super().__init__()
        layers = [nn.Linear(channels, channels, bias=False), SparseNorm(channels), nn.ReLU()] if hidden else []
        self.hidden = nn.Sequential(*layers)
        self.widths = [1, 3, 3, 2 * heading_bins]
        self.output = nn.Linear(channels, sum(self.widths))

    def forward(self, tensor: SparseTensor) -> tuple[Tensor, ...]:
        """Heatmap (V, 1), offset (V, 3), size (V, 3), heading (V, 2 n), as in RsnMaps."""
        values: Tensor = self.output(self.hidden(tensor.features))
        return torch.split(values, self.widths, dim=1)


def compute_site_centres(tensor: SparseTensor, grid: Grid, stride: int) -> Tensor:
    """Compute the centres of sparse sites that are coarser than the grid.

    Args:
        tensor: V sites, `stride` cells of `grid` long along each axis on which the grid has more than one cell.
        grid: the fine cells, metres in the vehicle frame.
        stride: cells of the grid per site.

    Returns:
        (V, 3) x, y, z, metres in the vehicle frame.
    """
    steps = [edge * (stride if count > 1 else 1) for edge, count in zip(grid.cell, grid.shape, strict=True)]
    position = tensor.sites.coordinates()[:, [3, 2, 1]] + 0.5
    return position * torch.tensor(steps, device=position.device) + torch.tensor(grid.lower, device=position.device)
