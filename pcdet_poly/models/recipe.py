"""Config -> the four parts of a detector: network, targets, losses, decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig, CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.losses import ClassificationConfig, SigmoidFocalConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.losses.anchor_criterion import AnchorCriterion
from pcdet_poly.losses.center_criterion import CenterCriterion
from pcdet_poly.losses.rsn_criterion import RsnCriterion
from pcdet_poly.losses.statistics import anchor_first_term_share, first_term_share, rsn_first_term_share
from pcdet_poly.models.centerpoint_pillar import CenterPointPillar
from pcdet_poly.models.centerpoint_voxel import CenterPointVoxel
from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.models.decoding.rsn_decoder import RsnDecoder
from pcdet_poly.models.pointpillars import PointPillars
from pcdet_poly.models.rsn import Rsn
from pcdet_poly.structures import Batch, CenterTargets, Detections, Grid, Losses, RsnMaps, RsnTargets
from pcdet_poly.targets import AnchorAssigner, AnchorGrid, CenterAssigner, assign_points, assign_voxels


@dataclass(frozen=True)
class Recipe:
    """What training and evaluation need to know of a detector. Maps and targets are records of its own kind."""

    model: nn.Module  # Batch -> maps
    assign: Callable[[Batch], Any]  # -> targets
    criterion: Callable[..., Losses]  # (maps, targets, *, progress: share of the training done)
    decode: Callable[[Any], tuple[Detections, ...]]  # maps ->
    observe: Callable[..., dict[str, float]]  # (maps, targets, *, progress) -> scalars for the log
    # targets -> what each loss is a mean over, by its name; losses that are not named are means over frames.
    # Steps of several batches weigh losses by it, so that they equal steps of one large batch.
    counts: Callable[[Any], dict[str, Tensor]] = lambda targets: {}


def build_recipe(cfg: Config) -> Recipe:
    """The detector that `cfg` describes. torch's global seed decides its weights."""
    match cfg.model:
        case CenterPointPillarConfig():
            return _centerpoint_pillar(cfg, cfg.model)
        case CenterPointVoxelConfig():
            return _centerpoint_voxel(cfg, cfg.model)
        case PointPillarsConfig():
            return _pointpillars(cfg, cfg.model)
        case RsnConfig():
            return _rsn(cfg, cfg.model)
        case _:
            assert_never(cfg.model)


def _centerpoint_pillar(cfg: Config, model_cfg: CenterPointPillarConfig) -> Recipe:
    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    model = CenterPointPillar(
        model_cfg,
        grid,
        len(cfg.data.classes),
        point_channels=cfg.data.point_channels,
        channels_last=cfg.train.channels_last,
    )
    return _center_recipe(cfg, model, grid.coarser(model_cfg.backbone.output_stride))


def _centerpoint_voxel(cfg: Config, model_cfg: CenterPointVoxelConfig) -> Recipe:
    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    model = CenterPointVoxel(
        model_cfg,
        grid,
        len(cfg.data.classes),
        point_channels=cfg.data.point_channels,
        channels_last=cfg.train.channels_last,
    )
    return _center_recipe(cfg, model, grid.coarser(model_cfg.output_stride))


def _center_recipe(cfg: Config, model: nn.Module, output_grid: Grid) -> Recipe:
    """What every detector with a dense centre head has besides its network."""
    assert isinstance(cfg.classification, ClassificationConfig)
    assigner = CenterAssigner(output_grid, len(cfg.data.classes), cfg.targets)
    with_velocity = isinstance(cfg.model, CenterHeadConfig) and cfg.model.velocity

    def assign(batch: Batch) -> CenterTargets:
        return assigner(batch.ground_truth, vehicle_from_world=batch.vehicle_from_world if with_velocity else None)

    criterion = CenterCriterion(cfg.classification, cfg.regression, output_grid)
    return Recipe(
        model=model,
        assign=assign,
        criterion=criterion,
        decode=CenterDecoder(output_grid, cfg.decode),
        observe=partial(first_term_share, cfg=cfg.classification),
        counts=criterion.counts,
    )


def _pointpillars(cfg: Config, model_cfg: PointPillarsConfig) -> Recipe:
    assert isinstance(cfg.classification, SigmoidFocalConfig)
    grid, classes = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell), cfg.data.classes
    anchors = AnchorGrid.of(grid.coarser(model_cfg.backbone.output_stride), model_cfg, classes)
    model = PointPillars(
        model_cfg, grid, len(classes), point_channels=cfg.data.point_channels, channels_last=cfg.train.channels_last
    )
    offset_rad = model_cfg.direction_offset_rad
    assigner = AnchorAssigner(anchors, direction_bins=model_cfg.direction_bins, direction_offset_rad=offset_rad)
    return Recipe(
        model=model,
        assign=lambda batch: assigner(batch.ground_truth),
        criterion=AnchorCriterion(cfg.classification, model_cfg),
        decode=AnchorDecoder(anchors, cfg.decode, direction_offset_rad=offset_rad),
        observe=partial(anchor_first_term_share, cfg=cfg.classification),
    )


def _rsn(cfg: Config, model_cfg: RsnConfig) -> Recipe:
    """The targets of voxels follow from the network's choice of them, so the losses make them."""
    heatmap, sigma_m = cfg.classification, model_cfg.sigma_m
    assert isinstance(heatmap, ClassificationConfig)
    criterion = RsnCriterion(heatmap, model_cfg)

    def losses(maps: RsnMaps, targets: RsnTargets, *, progress: float = 1.0) -> Losses:
        return criterion(maps, targets, assign_voxels(maps, targets, sigma_m=sigma_m), progress=progress)

    def observe(maps: RsnMaps, targets: RsnTargets, *, progress: float = 1.0) -> dict[str, float]:
        at_voxels = assign_voxels(maps, targets, sigma_m=sigma_m)
        return rsn_first_term_share(maps, targets, at_voxels, heatmap, model_cfg.segmentation, progress=progress)

    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    return Recipe(
        model=Rsn(model_cfg, grid, point_channels=cfg.data.point_channels, channels_last=cfg.train.channels_last),
        assign=assign_points,
        criterion=losses,
        decode=RsnDecoder(cfg.decode),
        observe=observe,
        counts=criterion.counts,
    )
