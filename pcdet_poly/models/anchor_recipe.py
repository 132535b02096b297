"""Config -> the parts of PointPillars."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import SigmoidFocalConfig
from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.losses.anchor_criterion import AnchorCriterion
from pcdet_poly.losses.gradient_match import collect_matched, match_gradient
from pcdet_poly.losses.gradient_shares import anchor_first_term_share
from pcdet_poly.models.cell_loss import load_cell_loss, observe_probabilities
from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.models.pointpillars import PointPillars
from pcdet_poly.models.recipe import Recipe, make_grid
from pcdet_poly.targets import AnchorAssigner, AnchorGrid


def build_pointpillars(cfg: Config) -> Recipe:
    """Build PointPillars: pillars, anchor head, targets by IoU with anchors."""
    assert isinstance(cfg.model, PointPillarsConfig)
    grid, classes, sigmoid = make_grid(cfg.grid), cfg.data.classes, cfg.classification
    anchors = AnchorGrid.from_config(grid.coarsen(cfg.model.backbone.output_stride), cfg.model, classes)
    model = PointPillars(
        cfg.model, grid, len(classes), point_channels=cfg.data.point_channels, channels_last=cfg.train.channels_last
    )
    offset_rad = cfg.model.direction_offset_rad
    assigner = AnchorAssigner(anchors, direction_bins=cfg.model.direction_bins, direction_offset_rad=offset_rad)
    observe: Callable[..., dict[str, float]] = observe_probabilities
    if sigmoid.kind == "sigmoid" and isinstance(sigmoid, SigmoidFocalConfig):
        observe = partial(anchor_first_term_share, cfg=sigmoid)
    loss = match_gradient(load_cell_loss(sigmoid), sigmoid)
    return Recipe(
        model=model,
        assign=lambda batch: assigner(batch.ground_truth),
        criterion=AnchorCriterion(sigmoid, cfg.model, loss=loss),
        decode=AnchorDecoder(anchors, cfg.decode, direction_offset_rad=offset_rad),
        observe=observe,
        matched=collect_matched(**{"class": loss}),
        shares_targets=True,
    )
