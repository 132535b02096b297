"""Settings -> a run that is ready to train. Whatever can be refused is refused before its folder is made."""

from __future__ import annotations

from pathlib import Path

import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.distributed import world_size
from pcdet_poly.engine.activations import stages_of
from pcdet_poly.engine.best import best_by
from pcdet_poly.engine.plan import plan_of
from pcdet_poly.engine.precision import check_precision
from pcdet_poly.engine.run import Run, start_run
from pcdet_poly.engine.state import seeded_recipe
from pcdet_poly.engine.trackers import check_tracker
from pcdet_poly.engine.warm_start import warm_start
from pcdet_poly.models import Recipe
from pcdet_poly.models.layers.sync_norm import synchronize_norms


def start(
    config: Config, frames: FrameDataset, folder: Path, device: torch.device, *, resume: bool
) -> tuple[Run, Recipe]:
    """The run in `folder` and its detector, made for training, with the weights that a new run begins with."""
    plan_of(config, frames)
    best_by(config)
    check_precision(device, config.train.mixed_precision)
    check_tracker(config.train)
    recipe = seeded_recipe(config, device)
    if config.train.sync_norm and world_size() > 1:
        synchronize_norms(recipe.model)
    if config.train.checkpoint_activations:
        stages_of(recipe.model)
    warm_start(recipe.model, config, folder)
    return start_run(folder, config, device, resume=resume), recipe
