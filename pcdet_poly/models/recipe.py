"""Config -> the parts of a detector: network, targets, losses, decoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from pcdet_poly.config.kind_tables import DETECTORS
from pcdet_poly.config.plugins import load_function
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.errors import UserError
from pcdet_poly.losses.gradient_match import MatchedLoss
from pcdet_poly.structures import Batch, Detections, Grid, Losses


@dataclass(frozen=True)
class Recipe:
    """What training and evaluation need to know of a detector. Maps and targets are records of its own kind."""

    model: nn.Module  # Batch -> maps
    assign: Callable[[Batch], Any]  # -> targets
    criterion: Callable[..., Losses]  # (maps, targets, *, progress: share of the training done)
    decode: Callable[[Any], tuple[Detections, ...]]  # maps ->
    # (maps, targets, *, progress) -> scalars for the log
    observe: Callable[..., dict[str, float]] = lambda maps, targets, *, progress: {}
    # targets -> what each loss is a mean over, by its name; losses that are not named are means over frames.
    # Steps of several batches weigh losses by it, so that they equal steps of one large batch.
    counts: Callable[[Any], dict[str, Tensor]] = lambda targets: {}
    # Losses that measure gradients while they train, by name: what they measured is saved with the run.
    matched: Mapping[str, MatchedLoss] = field(default_factory=dict)
    # Whether `assign` depends on nothing but the batch and settings outside of the losses: then runs in lockstep
    # make the targets of a batch once.
    shares_targets: bool = False


def build_recipe(cfg: Config) -> Recipe:
    """Build the detector that `cfg` describes. torch's global seed decides its weights.

    Raises:
        UserError: where a user's own builder is not one, or returns something else than a Recipe.
    """
    name = cfg.model.kind
    try:
        build = load_function(DETECTORS.find(name).build, cfg)
    except UserError as error:
        raise UserError(f"model.kind = {name!r}: its builder {error}") from None
    recipe = build(cfg)
    if not isinstance(recipe, Recipe):
        raise UserError(
            f"model.kind = {name!r}: its builder returned a {type(recipe).__name__}, where a "
            "pcdet_poly.models.Recipe is needed"
        )
    return recipe


def make_grid(cfg: GridConfig) -> Grid:
    """Return the grid that the section `grid` of a config describes."""
    return Grid(cfg.lower, cfg.upper, cfg.cell)
