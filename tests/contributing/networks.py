"""Changes to operations and detectors, made as CONTRIBUTING.md says."""

from __future__ import annotations

from tests.contributing.project_copy import ProjectCopy

OP = '''"""The box whose centre is nearest to each point."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.dispatch import define_operation, to_float_rows


def nearest_box(points: Tensor, box: Tensor) -> Tensor:
    """Find the nearest of the boxes (N, 7), N > 0, to each point (P, 3+): (P,) int64, the first of equal ones."""
    return torch.ops.pcdet_poly.nearest_box(to_float_rows(points), to_float_rows(box))


def _nearest_fake(points: Tensor, box: Tensor) -> Tensor:
    return points.new_empty(len(points), dtype=torch.int64)


define_operation("nearest_box(Tensor points, Tensor box) -> Tensor", file="nearest_box", fake=_nearest_fake)
'''
OP_ON_CPU = '''"""The nearest box on the CPU, over numpy arrays."""

from __future__ import annotations

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel


@kernel
def nearest_box(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """See ops/nearest_box.py."""
    nearest = np.zeros(len(points), np.int64)
    for p in range(len(points)):
        least = np.inf
        for n in range(len(box)):
            square = 0.0
            for axis in range(3):
                square += (points[p, axis] - box[n, axis]) ** 2
            if square < least:
                least, nearest[p] = square, n
    return nearest
'''
OP_ON_GPU = '''"""The nearest box in plain torch."""

from __future__ import annotations

from torch import Tensor


def nearest_box(points: Tensor, box: Tensor) -> Tensor:
    """See ops/nearest_box.py."""
    return (points[:, None, :3] - box[:, :3]).square().sum(dim=2).argmin(dim=1)
'''


def add_op(copy: ProjectCopy) -> None:
    copy.write("pcdet_poly/ops/nearest_box.py", OP)
    copy.write("pcdet_poly/ops/cpu/nearest_box.py", OP_ON_CPU)
    copy.write("pcdet_poly/ops/gpu/nearest_box.py", OP_ON_GPU)
    warm_up = "pcdet_poly/ops/warm_up.py"
    copy.insert(warm_up, "from pcdet_poly.ops.nms import", "from pcdet_poly.ops.nearest_box import nearest_box\n")
    copy.insert(warm_up, "    nms(box, box[:, 0], 0.5)\n", "    nearest_box(points, box)\n")


PROVE_OP = """
import torch
from pcdet_poly.ops.dispatch import find_function
from pcdet_poly.ops.nearest_box import nearest_box
from pcdet_poly.ops.warm_up import warm_up
from tests.contributing.proof_tools import list_kernels_not_called
warm_up()
assert list_kernels_not_called("pcdet_poly.ops") == []
points, box = torch.randn(50, 4), torch.randn(9, 7)
expected = torch.tensor([min(range(9), key=lambda n: (p[:3] - box[n, :3]).norm()) for p in points])
assert nearest_box(points, box).equal(expected) and nearest_box(points[:0], box).shape == (0,)
assert find_function("gpu", "nearest_box", "nearest_box")(points, box).equal(expected)
assert torch.compile(nearest_box, backend="eager", fullgraph=True)(points, box).equal(expected)
"""

DETECTOR = '''"""A detector that sees a map of heights: Batch -> CenterMaps."""

from __future__ import annotations

from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.height_map import HeightMapConfig
from pcdet_poly.models.center_recipe import build_center_recipe
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.recipe import Recipe, make_grid
from pcdet_poly.ops.scatter import scatter_max, to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Batch, CenterMaps, Grid


class HeightMap(nn.Module):
    """The highest point of each column, one convolution, a centre head."""

    def __init__(self, cfg: HeightMapConfig, grid: Grid, num_classes: int) -> None:
        super().__init__()
        self.grid = grid
        self.stem = nn.Sequential(nn.Conv2d(1, cfg.width, 3, padding=1), nn.ReLU())
        self.head = CenterHead(cfg.width, num_classes, cfg)

    def forward(self, batch: Batch) -> CenterMaps:
        """Compute the maps of every frame of a batch."""
        voxels = voxelize(batch.points, batch.frame_of_point, self.grid, batch.size)
        highest = scatter_max(batch.points[:, 2:3], voxels.voxel_of_point, len(voxels))  # (V, 1) metres
        maps: CenterMaps = self.head(self.stem(to_bev(highest, voxels)))
        return maps


def build_height_map(cfg: Config) -> Recipe:
    """Build the detector; its targets, losses and decoding are those of every centre head."""
    assert isinstance(cfg.model, HeightMapConfig)
    grid = make_grid(cfg.grid)
    return build_center_recipe(cfg, HeightMap(cfg.model, grid, len(cfg.data.classes)), grid)
'''
DETECTOR_SETTINGS = '''"""Settings of the height map."""

from __future__ import annotations

from typing import Literal

from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.section import Count


class HeightMapConfig(CenterHeadConfig, DetectorSection):
    """A detector that sees the highest point of each column."""

    kind: Literal["height_map"] = "height_map"
    """Name of the detector."""
    width: Count = 8
    """Channels of its convolution."""
'''


def add_detector(copy: ProjectCopy) -> None:
    copy.write("pcdet_poly/config/sections/height_map.py", DETECTOR_SETTINGS)
    copy.write("pcdet_poly/models/height_map.py", DETECTOR)
    table = "pcdet_poly/config/kind_tables.py"
    copy.insert(
        table,
        "from pcdet_poly.config.sections.losses import",
        "from pcdet_poly.config.sections.height_map import HeightMapConfig\n",
    )
    copy.insert(
        table,
        '        "rsn": DetectorKind(',
        '        "height_map": DetectorKind(HeightMapConfig, "pcdet_poly.models.height_map:build_height_map"),\n',
    )
    copy.write(
        "configs/height_map.yaml",
        "# A map of heights and a centre head.\nbase: quick.yaml\nmodel: {kind: height_map, head_width: 8}\n".replace(
            "quick", "base"
        ),
    )


PROVE_DETECTOR = """
from pcdet_poly.config.load import load_config
from tests.contributing.proof_tools import take_step
model = load_config("configs/height_map.yaml", ["model.width=4"]).model
assert (model.kind, model.width, model.head_width) == ("height_map", 4, 8)
losses = take_step(model=model.model_dump())
assert set(losses) == {"heatmap", "box"} and all(value > 0 for value in losses.values())
"""


def add_head_output(copy: ProjectCopy) -> None:
    copy.insert(
        "pcdet_poly/config/sections/centerpoint.py",
        "    @property\n    def num_heading_bins(",
        '    point_count: bool = False\n    """Predict the number of LiDAR points in each box."""\n\n',
    )
    copy.insert(
        "pcdet_poly/models/layers/center_head.py",
        "        starts = {",
        '        outputs |= {"point_count": 1} if cfg.point_count else {}\n',
    )
    copy.replace(
        "pcdet_poly/structures/maps.py",
        "    velocity: Tensor | None = None  # (B, 2, H, W)",
        "    point_count: Tensor | None = None  # (B, 1, H, W) log(1 + points), where the head has that branch\n"
        "    velocity: Tensor | None = None  # (B, 2, H, W)",
    )
    copy.replace(
        "pcdet_poly/structures/targets.py",
        "    velocity: Tensor | None = None  # (N, 2) float32: x, y in the vehicle frame, m/s; NaN where unknown\n",
        "    velocity: Tensor | None = None  # (N, 2) float32: x, y in the vehicle frame, m/s; NaN where unknown\n"
        "    point_count: Tensor | None = None  # (N, 1) float32: log(1 + points in the box)\n",
    )
    copy.replace(
        "pcdet_poly/targets/center_assigner.py",
        "            velocity=velocity,\n",
        "            velocity=velocity,\n"
        "            point_count=torch.cat([rows.num_points for rows in ground_truth])[inside, None].log1p(),\n",
    )
    criterion = "pcdet_poly/losses/center/criterion.py"
    copy.replace(
        criterion,
        '"iou": objects, **moving}',
        '"iou": objects, "point_count": objects, **moving}',
    )
    copy.insert(
        criterion,
        "        normalizers = self.count_normalizers(targets)\n",
        "        if maps.point_count is not None:\n"
        "            assert targets.point_count is not None\n"
        "            found = gather_cells(maps.point_count, targets.frame, targets.cell)  # (N, 1)\n"
        '            sums |= {"point_count": l1(found, targets.point_count).sum()}\n',
    )
    flips = "pcdet_poly/models/decoding/mirror_flips.py"
    copy.replace(
        flips,
        "turn_back(maps.velocity) * x_y,\n",
        "turn_back(maps.velocity) * x_y,\n"
        "        point_count=None if maps.point_count is None else turn_back(maps.point_count),\n",
    )
    copy.replace(
        flips,
        'else average("velocity"),\n',
        'else average("velocity"),\n'
        '        point_count=None if views[0].point_count is None else average("point_count"),\n',
    )


PROVE_HEAD_OUTPUT = """
import torch
from pcdet_poly.models.decoding.mirror_flips import average_maps, mirror_back
from pcdet_poly.models.export.network import list_map_names
from tests.contributing.proof_tools import build_tiny, take_step
assert take_step(model={"point_count": True})["point_count"] > 0
assert "point_count" not in take_step()
recipe, batch = build_tiny(model={"point_count": True})
recipe.model.eval()
assert "point_count" in recipe.counts(recipe.assign(batch)) and "point_count" in list_map_names(recipe.model)
maps = recipe.model(batch)
mean = average_maps([mirror_back(maps, (1, 1)), mirror_back(maps, (1, -1))]).point_count
torch.testing.assert_close(mean, (maps.point_count + maps.point_count.flip(2)) / 2)
"""
