"""A detector over a dataset -> AP table, detections, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.data.dataset import FrameDataset
from pcdet_poly.data.loader import evaluation_batches
from pcdet_poly.engine.checkpoint import config_hash, config_values
from pcdet_poly.engine.progress import progress
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.table import print_table
from pcdet_poly.evaluation import ApTable, evaluate, in_zones, write_detections
from pcdet_poly.files import write_json
from pcdet_poly.models import Recipe
from pcdet_poly.models.test_time import Flips, maps_over_flips
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
    config, folder = run.config, output or run.folder
    evaluation = evaluate_recipe(config, recipe, frames, run.device, pictures=folder / "pictures")
    metrics = metrics_of(evaluation, {"run": run.folder.name, "step": step, "data": list(config.data.val)}, config)
    write_detections(folder / "detections.parquet", evaluation.frame_ids, evaluation.detections, config.data.classes)
    write_json(folder / "metrics.json", metrics)
    print_table(metrics, config.data.classes, title=_title(run, step, len(frames)))
    return evaluation


def evaluate_recipe(
    config: Config, recipe: Recipe, frames: FrameDataset, device: torch.device, *, pictures: Path
) -> Evaluation:
    """Run the detector over `frames` and compare with their labels; draw some of them into the folder `pictures`."""
    to_draw = _evenly_spaced(config.evaluation.pictures, len(frames))
    shutil.rmtree(pictures, ignore_errors=True)
    frame_ids: list[str] = []
    labels: list[GroundTruth] = []
    detections: list[Detections] = []
    in_zone: list[np.ndarray] = []
    with progress("evaluate", 0, len(frames)) as report:
        for batch in evaluation_batches(config, frames):
            first = len(frame_ids)
            frame_ids += batch.frame_ids
            labels += [rows.numpy() for rows in batch.ground_truth]
            detections += detect(
                recipe,
                batch,
                device,
                mixed_precision=config.train.mixed_precision,
                flips=config.evaluation.test_time_flips,
            )
            in_zone += [
                in_zones(found.box, zones)
                for found, zones in zip(detections[first:], batch.no_label_zones, strict=True)
            ]
            for index in to_draw & set(range(first, len(frame_ids))):
                _draw(pictures, batch, index - first, labels[index], detections[index], config)
            report(len(frame_ids), batch.size)
    table = evaluate(
        detections,
        labels,
        config.evaluation.metrics,
        class_names=config.data.classes,
        no_label_zone=in_zone,
        within=config.evaluation.within,
    )
    return Evaluation(table, tuple(frame_ids), tuple(detections))


def metrics_of(evaluation: Evaluation, meta: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Content of metrics.json: the table, and under "meta" what it is a table of. No wall-clock time."""
    metrics = evaluation.table.to_json()
    of_table = {name: value for name, value in metrics["meta"].items() if name != "seconds"}
    return metrics | {"meta": {**meta, "config_hash": config_hash(config_values(config)), **of_table}}


@torch.inference_mode()
def detect(
    recipe: Recipe, batch: Batch, device: torch.device, *, mixed_precision: bool, flips: Flips = "none"
) -> tuple[Detections, ...]:
    """Detections of each frame of `batch`, on the host. Leaves the model in evaluation mode.

    `flips`: average the maps over mirror images of each frame, for a centre head.
    """
    recipe.model.eval()
    on_device = batch.to(device, non_blocking=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision):
        maps = recipe.model(on_device) if flips == "none" else maps_over_flips(recipe.model, on_device, flips)
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


def _title(run: Run, step: int, num_frames: int) -> str:
    within = run.config.evaluation.within
    where = (
        ""
        if within is None
        else f", only boxes with centres in x {within[0]:g} to {within[2]:g} m, y {within[1]:g} to {within[3]:g} m"
    )
    return f"{run.folder.name} after {step} steps, {num_frames} frames{where}"
