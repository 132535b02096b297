"""A detector over a dataset -> AP table, detections, pictures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.dataset import FrameDataset
from pcdet_poly.data.loader import evaluation_batches
from pcdet_poly.engine.checkpoint import config_hash, config_values
from pcdet_poly.engine.progress import progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.table import print_table
from pcdet_poly.evaluation import ApTable, Evaluator, write_detections
from pcdet_poly.files import write_json
from pcdet_poly.models import Recipe
from pcdet_poly.structures import Batch, Detections, GroundTruth
from pcdet_poly.visualization.bev import draw_bev


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    table: ApTable
    frame_ids: tuple[str, ...]
    detections: tuple[Detections, ...]  # one per frame, on the host


def evaluate_run(
    run: Run, recipe: Recipe, frames: FrameDataset, *, step: int, output: Path | None = None
) -> Evaluation:
    """Evaluate the weights that `recipe` has after `step` steps. Writes metrics.json, detections.parquet and
    pictures/ into `output`, the run's folder by default, and prints the table."""
    folder = output or run.folder
    evaluation = evaluate_recipe(run.config, recipe, frames, run.device, pictures=folder / "pictures")
    meta = {
        "run": run.folder.name,
        "step": step,
        "config_hash": config_hash(config_values(run.config)),
        "data": list(run.config.data.val),
        "num_frames": len(evaluation.frame_ids),
    }
    metrics = evaluation.table.to_json()
    write_detections(
        folder / "detections.parquet", evaluation.frame_ids, evaluation.detections, run.config.data.classes
    )
    write_json(folder / "metrics.json", metrics | {"meta": meta | metrics["meta"]})
    print_table(metrics, title=f"{run.folder.name} after {step} steps, {len(frames)} frames")
    return evaluation


def evaluate_recipe(
    config: Config, recipe: Recipe, frames: FrameDataset, device: torch.device, *, pictures: Path
) -> Evaluation:
    """Run the detector over `frames` and compare with their labels; draw some of them into the folder `pictures`."""
    classes = config.data.classes
    evaluator = Evaluator(config.evaluation, class_names=classes)
    to_draw = _evenly_spaced(config.evaluation.pictures, len(frames))
    shutil.rmtree(pictures, ignore_errors=True)
    frame_ids: list[str] = []
    detections: list[Detections] = []
    with progress("evaluate", 0, len(frames)) as report:
        for batch in evaluation_batches(config, frames):
            found = detect(recipe, batch, device, mixed_precision=config.train.mixed_precision)
            labels = [rows.numpy() for rows in batch.ground_truth]
            evaluator.update(found, labels)
            for index in range(batch.size):
                if len(frame_ids) + index in to_draw:
                    _draw(pictures, batch, index, labels[index], found[index], config)
            frame_ids += batch.frame_ids
            detections += found
            report(len(frame_ids), batch.size)
    return Evaluation(evaluator.result(), tuple(frame_ids), tuple(detections))


@torch.inference_mode()
def detect(recipe: Recipe, batch: Batch, device: torch.device, *, mixed_precision: bool) -> tuple[Detections, ...]:
    """Detections of each frame of `batch`, on the host. Leaves the model in evaluation mode."""
    recipe.model.eval()
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision):
        maps = recipe.model(batch.to(device, non_blocking=True))
    return tuple(rows.numpy() for rows in recipe.decode(maps))


def _evenly_spaced(count: int, length: int) -> frozenset[int]:
    """At most `count` positions spread over range(length)."""
    return frozenset(np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist())


def _draw(folder: Path, batch: Batch, index: int, labels: GroundTruth, found: Detections, config: Config) -> None:
    frame_id = batch.frame_ids[index]
    (x0, y0, _), (x1, y1, _) = config.grid.lower, config.grid.upper
    draw_bev(
        folder / f"{frame_id.replace('/', '_')}.png",
        batch.points[batch.frame_of_point == index].cpu().numpy(),
        labels,
        found,
        class_names=config.data.classes,
        title=frame_id,
        limits=(x0, y0, x1, y1),
        min_score=config.evaluation.picture_score,
    )
