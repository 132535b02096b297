"""A detector of our own: a height map of the points, a few convolutions, pcdet_poly's centre head."""

import torch
from torch import nn

from pcdet_poly.config.kinds import DetectorKind
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.section import Count
from pcdet_poly.models.center_recipe import build_center_recipe
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.recipe import Recipe, make_grid
from pcdet_poly.ops.scatter import scatter_max, to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Batch, CenterMaps, Grid


class HeightMapConfig(CenterHeadConfig, DetectorSection):
    """What `model:` of a config may hold: these two settings, and those of the centre head."""

    width: Count = 16
    """Channels of every convolution."""
    layers: Count = 3
    """Number of 3 x 3 convolutions before the head."""


class HeightMapNetwork(nn.Module):
    """Batch -> CenterMaps."""

    def __init__(self, cfg: HeightMapConfig, grid: Grid, num_classes: int) -> None:
        super().__init__()
        self.grid = grid
        layers: list[nn.Module] = []
        for in_channels in (2, *[cfg.width] * (cfg.layers - 1)):
            convolution = nn.Conv2d(in_channels, cfg.width, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(cfg.width), nn.ReLU()]
        self.backbone = nn.Sequential(*layers)
        self.head = CenterHead(cfg.width, num_classes, cfg)

    def forward(self, batch: Batch) -> CenterMaps:
        """Return the maps of every frame of a batch."""
        voxels = voxelize(batch.points, batch.frame_of_point, self.grid, batch.size)
        highest = scatter_max(batch.points[:, 2:3], voxels.voxel_of_point, len(voxels))  # (V, 1) metres
        density = voxels.num_points[:, None].float().log1p()  # (V, 1)
        image = to_bev(torch.cat([highest, density], dim=1), voxels)  # (B, 2, ny, nx)
        maps: CenterMaps = self.head(self.backbone(image))
        return maps


def build_height_map(cfg: Config) -> Recipe:
    """Build the network; targets, box losses and decoding are those of every detector with a centre head."""
    assert isinstance(cfg.model, HeightMapConfig)
    grid = make_grid(cfg.grid)
    return build_center_recipe(cfg, HeightMapNetwork(cfg.model, grid, len(cfg.data.classes)), grid)


# A config calls it my_detector.detector:HeightMap, or height_map where this package is installed.
HeightMap = DetectorKind(HeightMapConfig, build_height_map)
