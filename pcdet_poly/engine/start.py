"""Settings -> a run that is ready to train. Whatever can be refused is refused before its folder is made."""

from __future__ import annotations

from pathlib import Path

import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.bank.paste import open_paster
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.learnable import check_something_to_learn
from pcdet_poly.distributed import world_size
from pcdet_poly.engine.activations import list_stages
from pcdet_poly.engine.best import list_ranking_metrics
from pcdet_poly.engine.choose_precision import fix_precision
from pcdet_poly.engine.precision import check_precision
from pcdet_poly.engine.run import Run, start_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.timeline import build_timeline
from pcdet_poly.engine.trackers import check_tracker
from pcdet_poly.engine.warm_start import warm_start
from pcdet_poly.models import Recipe
from pcdet_poly.models.layers.sync_norm import synchronize_norms


def prepare_run(
    config: Config, frames: FrameDataset, folder: Path, device: torch.device, *, resume: bool
) -> tuple[Run, Recipe]:
    """Build a detector for training and make the run's folder. What can be refused is refused before that.

    Args:
        config: settings of the run.
        frames: frames to train on.
        folder: the run's folder.
        device: where the network runs.
        resume: go on where the run is there.

    Returns:
        The run, and the detector with the weights that a new run begins with.

    Raises:
        UserError: where a setting or the folder cannot be used.
    """
    check_something_to_learn(frames, config)
    build_timeline(config, frames)
    config = fix_precision(config, frames, folder, device)
    list_ranking_metrics(config)
    check_precision(device, config.train.mixed_precision)
    check_tracker(config.train)
    if config.paste.bank:
        open_paster(config.paste, config.data.classes, config.data.returns)
    recipe = build_seeded_recipe(config, device)
    if config.train.sync_norm and world_size() > 1:
        synchronize_norms(recipe.model)
    if config.train.checkpoint_activations:
        list_stages(recipe.model)
    warm_start(recipe.model, config, folder)
    return start_run(folder, config, device, resume=resume), recipe
