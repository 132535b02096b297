"""A run with every option of the centre head: trained, its losses logged, evaluated over mirror images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.loader import load_evaluation_batches
from pcdet_poly.engine.evaluate import detect, evaluate_recipe
from pcdet_poly.engine.frames import open_training_frames, open_validation_frames
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.engine.train import train
from pcdet_poly.evaluation import read_detections

CPU = torch.device("cpu")


def every_option(config: Config) -> Config:
    values = config.model_dump()
    values["model"] |= {"iou_branch": True, "heading": "bins", "velocity": True}
    values["decode"] |= {"iou_weight": 0.5, "nms": "circle", "circle_radius_m": (2.0, 0.5, 1.0)}
    values["evaluation"] |= {"test_time_flips": "xy"}
    return Config.model_validate(values)


def test_a_run_with_every_option(tiny, tmp_path: Path) -> None:
    config = every_option(tiny(epochs=1, accumulate=2, log_every=1))
    frames = open_training_frames(config)
    run, recipe = prepare_run(config, frames, tmp_path / "run", CPU, resume=False)
    train(run, recipe, frames, open_validation_frames(config))
    lines = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    logged = {name for line in lines for name in line}
    assert {"loss/heatmap", "loss/box", "loss/iou", "loss/velocity"} <= logged
    (found, *_) = read_detections(run.folder / "detections.parquet").detections
    assert len(found) > 0
    assert found.velocity.shape == (len(found), 2)


def test_the_evaluation_averages_over_mirror_images(tiny, tmp_path: Path) -> None:
    config = every_option(tiny())
    recipe, frames = build_seeded_recipe(config, CPU), open_training_frames(config)
    evaluation = evaluate_recipe(config, recipe, frames, CPU, pictures=tmp_path)
    assert evaluation is not None
    for flips, equal in (("xy", True), ("none", False)):
        by_hand = [
            rows
            for batch in load_evaluation_batches(config, frames)
            for rows in detect(recipe, batch, CPU, mixed_precision=False, flips=flips)
        ]
        same = [
            one.box.shape == other.box.shape and np.allclose(one.box, other.box)
            for one, other in zip(evaluation.detections, by_hand, strict=True)
        ]
        assert all(same) == equal
