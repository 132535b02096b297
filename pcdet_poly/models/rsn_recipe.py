"""Config -> the parts of RSN."""

from __future__ import annotations

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.losses import HeatmapFocalConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.losses.gradient_match import collect_matched, match_gradient
from pcdet_poly.losses.gradient_shares import rsn_first_term_share
from pcdet_poly.losses.rsn_criterion import RsnCriterion
from pcdet_poly.models.cell_loss import load_cell_loss, observe_probabilities
from pcdet_poly.models.decoding.rsn_decoder import RsnDecoder
from pcdet_poly.models.recipe import Recipe, make_grid
from pcdet_poly.models.rsn import Rsn
from pcdet_poly.structures import Losses, RsnMaps, RsnTargets
from pcdet_poly.targets import assign_rsn_points, assign_rsn_voxels


def build_rsn(cfg: Config) -> Recipe:
    """Build RSN. The targets of voxels follow from the network's choice of them, so the losses make them."""
    assert isinstance(cfg.model, RsnConfig)
    heatmap, segmentation, sigma_m = cfg.classification, cfg.model.segmentation, cfg.model.sigma_m
    loss = match_gradient(load_cell_loss(heatmap), heatmap)
    criterion = RsnCriterion(heatmap, cfg.model, loss=loss)

    def compute_losses(maps: RsnMaps, targets: RsnTargets, *, progress: float = 1.0) -> Losses:
        return criterion(maps, targets, assign_rsn_voxels(maps, targets, sigma_m=sigma_m), progress=progress)

    def observe(maps: RsnMaps, targets: RsnTargets, *, progress: float = 1.0) -> dict[str, float]:
        if heatmap.kind != "heatmap" or not isinstance(heatmap, HeatmapFocalConfig):
            return observe_probabilities(maps, targets)
        at_voxels = assign_rsn_voxels(maps, targets, sigma_m=sigma_m)
        return rsn_first_term_share(maps, targets, at_voxels, heatmap, segmentation, progress=progress)

    return Recipe(
        model=Rsn(
            cfg.model,
            make_grid(cfg.grid),
            point_channels=cfg.data.point_channels,
            channels_last=cfg.train.channels_last,
        ),
        assign=assign_rsn_points,
        criterion=compute_losses,
        decode=RsnDecoder(cfg.decode, cfg.model.sizes),
        observe=observe,
        counts=criterion.count_normalizers,
        matched=collect_matched(heatmap=loss, segmentation=criterion.segmentation_loss),
        shares_targets=True,
    )
