"""Config -> the four parts of a detector: network, targets, losses, decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, assert_never

from torch import Tensor, nn

from pcdet_poly.config.centerpoint import CenterHeadConfig, CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.losses import ClassificationConfig
from pcdet_poly.config.pointpillars import PointPillarsConfig
from pcdet_poly.config.schema import Config
from pcdet_poly.losses.criterion import CenterCriterion
from pcdet_poly.losses.statistics import first_term_share
from pcdet_poly.models.centerpoint import CenterPointPillar
from pcdet_poly.models.decode import CenterDecoder
from pcdet_poly.structures import Batch, CenterTargets, Detections, Grid, Losses
from pcdet_poly.targets import CenterAssigner


class Criterion(Protocol):
    """Maps and targets of a detector's own kind -> losses."""

    def counts(self, targets: Any) -> dict[str, Tensor]:
        """What each loss is a mean over, by the loss's name: where a step has several batches, the mean is over all."""

    def __call__(
        self, maps: Any, targets: Any, *, progress: float = 1.0, normalizers: Mapping[str, Tensor] | None = None
    ) -> Losses:
        """Sums over the batch divided by `normalizers` (`mean_counts` of the step), or by the batch's own counts.

        `progress`: share of the training done, in [0, 1].
        """


@dataclass(frozen=True)
class Recipe:
    """What training and evaluation need to know of a detector. Maps and targets are records of its own kind."""

    model: nn.Module  # Batch -> maps
    assign: Callable[[Batch], Any]  # -> targets
    criterion: Criterion
    decode: Callable[[Any], tuple[Detections, ...]]  # maps ->
    observe: Callable[..., dict[str, float]]  # (maps, targets, *, progress) -> scalars for the log


def build_recipe(cfg: Config) -> Recipe:
    """The detector that `cfg` describes. torch's global seed decides its weights."""
    match cfg.model:
        case CenterPointPillarConfig():
            return _centerpoint_pillar(cfg, cfg.model)
        case CenterPointVoxelConfig():
            raise NotImplementedError
        case PointPillarsConfig():
            raise NotImplementedError
        case _:
            assert_never(cfg.model)


def _centerpoint_pillar(cfg: Config, model_cfg: CenterPointPillarConfig) -> Recipe:
    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    model = CenterPointPillar(model_cfg, grid, len(cfg.data.classes), channels_last=cfg.train.channels_last)
    return _center_recipe(cfg, model, grid.coarser(model_cfg.backbone.output_stride))


def _center_recipe(cfg: Config, model: nn.Module, output_grid: Grid) -> Recipe:
    """What every detector with a dense centre head has besides its network."""
    assert isinstance(cfg.classification, ClassificationConfig)
    assigner = CenterAssigner(output_grid, len(cfg.data.classes), cfg.targets)
    with_velocity = isinstance(cfg.model, CenterHeadConfig) and cfg.model.velocity

    def assign(batch: Batch) -> CenterTargets:
        return assigner(batch.ground_truth, vehicle_from_world=batch.vehicle_from_world if with_velocity else None)

    return Recipe(
        model=model,
        assign=assign,
        criterion=CenterCriterion(cfg.classification, cfg.regression, output_grid),
        decode=CenterDecoder(output_grid, cfg.decode),
        observe=partial(first_term_share, cfg=cfg.classification),
    )
