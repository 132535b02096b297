"""Config -> the parts of CenterPoint, on pillars or on voxels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig, CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.losses import HeatmapFocalConfig
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.losses.gradient_match import collect_matched, match_gradient
from pcdet_poly.losses.gradient_shares import center_first_term_share
from pcdet_poly.models.cell_loss import load_cell_loss, observe_probabilities
from pcdet_poly.models.centerpoint_pillar import CenterPointPillar
from pcdet_poly.models.centerpoint_voxel import CenterPointVoxel
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.models.recipe import Recipe, make_grid
from pcdet_poly.structures import Batch, CenterTargets, Grid
from pcdet_poly.targets import CenterAssigner


def build_center_pillar(cfg: Config) -> Recipe:
    """Build CenterPoint on pillars."""
    assert isinstance(cfg.model, CenterPointPillarConfig)
    grid = make_grid(cfg.grid)
    model = CenterPointPillar(
        cfg.model,
        grid,
        len(cfg.data.classes),
        group_of_class=cfg.model.list_group_numbers(cfg.data.classes),
        point_channels=cfg.data.point_channels,
        channels_last=cfg.train.channels_last,
    )
    return build_center_recipe(cfg, model, grid.coarsen(cfg.model.output_stride))


def build_center_voxel(cfg: Config) -> Recipe:
    """Build CenterPoint on voxels."""
    assert isinstance(cfg.model, CenterPointVoxelConfig)
    grid = make_grid(cfg.grid)
    model = CenterPointVoxel(
        cfg.model,
        grid,
        len(cfg.data.classes),
        group_of_class=cfg.model.list_group_numbers(cfg.data.classes),
        point_channels=cfg.data.point_channels,
        channels_last=cfg.train.channels_last,
    )
    return build_center_recipe(cfg, model, grid.coarsen(cfg.model.output_stride))


def build_center_recipe(cfg: Config, model: nn.Module, output_grid: Grid) -> Recipe:
    """Put together what every detector with a dense centre head has besides its network.

    Args:
        cfg: the whole config.
        model: network from a Batch to CenterMaps.
        output_grid: the cells of those maps, metres in the vehicle frame.

    Returns:
        The recipe, with the targets, losses and decoding that `cfg` describes.
    """
    assigner = CenterAssigner(output_grid, len(cfg.data.classes), cfg.targets)
    # Losses of several groups are sums of means over different numbers: they are means over each batch's own objects.
    has_groups = isinstance(cfg.model, CenterHeadConfig) and cfg.model.groups is not None
    with_velocity = isinstance(cfg.model, CenterHeadConfig) and cfg.model.velocity

    def assign(batch: Batch) -> CenterTargets:
        return assigner(batch.ground_truth, vehicle_from_world=batch.vehicle_from_world if with_velocity else None)

    heatmap = cfg.classification
    loss = match_gradient(load_cell_loss(heatmap), heatmap)
    criterion = CenterCriterion(heatmap, cfg.regression, output_grid, loss=loss)
    observe: Callable[..., dict[str, float]] = observe_probabilities
    if heatmap.kind == "heatmap" and isinstance(heatmap, HeatmapFocalConfig):
        observe = partial(center_first_term_share, cfg=heatmap)
    return Recipe(
        model=model,
        assign=assign,
        criterion=criterion,
        decode=CenterDecoder(output_grid, cfg.decode),
        observe=observe,
        counts=_count_nothing if has_groups else criterion.count_normalizers,
        matched=collect_matched(heatmap=loss),
        shares_targets=True,
    )


def _count_nothing(targets: CenterTargets) -> dict[str, Tensor]:
    return {}
