"""Train a detector on a handful of simulated frames and evaluate it on the same."""

from __future__ import annotations

from pathlib import Path

import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_evaluation_batches, load_training_batches
from pcdet_poly.engine.evaluate import detect
from pcdet_poly.engine.optim import build_optimizer, set_rates
from pcdet_poly.engine.precision import autocast
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.evaluation import evaluate

UNCHANGED = ("augment.flip_x=false", "augment.flip_y=false", "augment.rotation_rad=0", "augment.scale=[1,1]")


def overfit_bev_ap(
    config: str | Path, store: Path, epochs: int, *overrides: str, one_order: bool = False
) -> dict[str, float]:
    """BEV LEVEL_1 AP of each class with labels, after `epochs` passes over the frames of `store`, unaugmented.

    With `one_order` frames are read once, and every pass has them in the same order, which saves a tenth of the time.
    """
    cfg = load_config(config, (f"data.train=[{store}]", "data.workers=0", *UNCHANGED, *overrides))
    device, frames = torch.device("cpu"), FrameDataset([store])
    recipe = build_seeded_recipe(cfg, device)
    recipe.model.train()
    optimizer = build_optimizer(recipe.model, cfg.train)
    orders = 1 if one_order else epochs
    batches = [batch for epoch in range(orders) for batch in load_training_batches(cfg, frames, epoch=epoch)]
    batches *= epochs // orders
    for step, batch in enumerate(batches):
        set_rates(optimizer, step, len(batches), cfg.train)
        with autocast(device, cfg.train.mixed_precision):
            maps = recipe.model(batch)
        losses = recipe.criterion(maps, recipe.assign(batch), progress=step / len(batches))
        optimizer.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.train.clip_norm)
        optimizer.step()
    found, truth = [], []
    for batch in load_evaluation_batches(cfg, frames):
        found += detect(recipe, batch, device, mixed_precision=False)
        truth += [rows.numpy() for rows in batch.ground_truth]
    table = evaluate(
        found, truth, cfg.evaluation.metrics, class_names=cfg.data.classes, within=cfg.evaluation.within
    ).to_json()
    present = {cfg.data.classes[label] for rows in truth for label in rows.label}
    return {name: table["BEV"][f"OBJECT_TYPE_TYPE_{name}_LEVEL_1"]["ap"] for name in sorted(present)}
