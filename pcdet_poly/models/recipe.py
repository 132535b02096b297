"""Config -> the four parts of a detector: network, targets, losses, decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from torch import nn

from pcdet_poly.config.schema import CenterPointPillarConfig, Config
from pcdet_poly.losses.criterion import CenterCriterion
from pcdet_poly.models.centerpoint import CenterPointPillar
from pcdet_poly.models.decode import CenterDecoder
from pcdet_poly.structures import CenterMaps, CenterTargets, Detections, Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner


@dataclass(frozen=True)
class Recipe:
    """What training and evaluation need to know of a detector."""

    model: nn.Module  # Batch -> CenterMaps
    assign: Callable[[Sequence[GroundTruth]], CenterTargets]
    criterion: CenterCriterion  # (CenterMaps, CenterTargets, *, progress) -> Losses
    decode: Callable[[CenterMaps], tuple[Detections, ...]]


def build_recipe(cfg: Config) -> Recipe:
    """The detector that `cfg` describes. torch's global seed decides its weights."""
    match cfg.model:
        case CenterPointPillarConfig():
            return _centerpoint_pillar(cfg, cfg.model)
        case _:
            assert_never(cfg.model)


def _centerpoint_pillar(cfg: Config, model_cfg: CenterPointPillarConfig) -> Recipe:
    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    output_grid = grid.coarser(model_cfg.backbone.output_stride)
    num_classes = len(cfg.data.classes)
    return Recipe(
        model=CenterPointPillar(model_cfg, grid, num_classes, channels_last=cfg.train.channels_last),
        assign=CenterAssigner(output_grid, num_classes, cfg.targets),
        criterion=CenterCriterion(cfg.classification, cfg.regression),
        decode=CenterDecoder(output_grid, cfg.decode),
    )
