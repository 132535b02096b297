"""A detector over a dataset -> AP table, detections, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.train import MixedPrecision
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_evaluation_batches
from pcdet_poly.distributed import gather_to_first, rank, wait_for_all, world_size
from pcdet_poly.engine.checkpoint import config_hash, config_values
from pcdet_poly.engine.precision import autocast
from pcdet_poly.engine.progress import report_progress
from pcdet_poly.engine.provenance import describe_provenance
from pcdet_poly.engine.run import Run
from pcdet_poly.engine.table import print_table
from pcdet_poly.evaluation import ApTable, Evaluator, find_boxes_in_zones, write_detections
from pcdet_poly.evaluation.evaluator import run_evaluator
from pcdet_poly.evaluation.tabulate import build_evaluation_set
from pcdet_poly.files import write_checked_json
from pcdet_poly.models import Recipe
from pcdet_poly.models.decoding.mirror_flips import Flips, average_over_flips
from pcdet_poly.names.file_names import simplify_file_name
from pcdet_poly.structures import Batch, Detections, GroundTruth
from pcdet_poly.visualization.bev import draw_bev


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    evaluator: Evaluator  # the counts
    table: ApTable  # what they amount to
    frame_ids: tuple[str, ...]
    detections: tuple[Detections, ...]  # one per frame, on the host
    in_zone: tuple[np.ndarray, ...] = ()  # per frame (N,) bool: the detections in no-label zones


@dataclass(frozen=True)
class _ExaminedBatch:
    """What is kept of one batch, on the host."""

    frame_ids: tuple[str, ...]
    labels: tuple[GroundTruth, ...]
    detections: tuple[Detections, ...]
    in_zone: tuple[np.ndarray, ...]  # per frame (N,) bool: the detections in no-label zones


def evaluate_run(
    run: Run,
    recipe: Recipe,
    frames: FrameDataset,
    *,
    step: int,
    output: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Evaluate a run; write metrics.json, detections.parquet and pictures/, and print the table.

    Args:
        run: the run whose settings count.
        recipe: its detector, with the weights to evaluate.
        frames: labelled frames.
        step: steps after which the detector has these weights.
        output: folder to write into, by default the run's.
        check: called before every batch, see `evaluate_recipe`.

    Returns:
        What was found; None in all processes but the first.
    """
    config, folder, classes = run.config, output or run.folder, run.config.data.classes
    evaluation = evaluate_recipe(config, recipe, frames, run.device, pictures=folder / "pictures", check=check)
    if evaluation is None:
        return None
    provenance = describe_provenance(run, step)
    about = {"run": run.folder.name, "step": step, "data": list(config.data.val), "provenance": provenance.to_meta()}
    metrics = build_metrics(evaluation, about, config)
    write_detections(
        folder / "detections.parquet",
        evaluation.frame_ids,
        evaluation.detections,
        classes,
        in_no_label_zone=evaluation.in_zone,
        provenance=provenance,
    )
    write_checked_json(folder / "metrics.json", metrics)
    print_table(metrics, classes, title=_write_title(run, step, len(frames)))
    return evaluation


def evaluate_recipe(
    config: Config,
    recipe: Recipe,
    frames: FrameDataset,
    device: torch.device,
    *,
    pictures: Path,
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Run a detector over frames and compare with their labels.

    Of several processes that work together each takes every n-th batch, and the first gathers what one process would
    have found.

    Args:
        config: settings of the evaluation, of loading and of the classes.
        recipe: the detector.
        frames: labelled frames.
        device: where the network runs.
        pictures: folder for pictures of some frames; earlier pictures of these frames are removed first, nothing else.
        check: called by all processes before every batch; may raise to stop.

    Returns:
        What was found; None in all processes but the first.
    """
    if rank() == 0:
        _remove_pictures(pictures, frames)
    wait_for_all()  # nobody draws before
    of_processes = gather_to_first(_examine_batches(config, recipe, frames, device, pictures, check))
    if rank() > 0:
        return None
    batches = [batch for turn in zip_longest(*of_processes) for batch in turn if batch is not None]
    frame_ids = tuple(name for batch in batches for name in batch.frame_ids)
    detections = tuple(rows for batch in batches for rows in batch.detections)
    in_zone = tuple(mask for batch in batches for mask in batch.in_zone)
    boxes = build_evaluation_set(
        detections,
        [rows for batch in batches for rows in batch.labels],
        class_names=config.data.classes,
        no_label_zone=in_zone,
        type_names=config.evaluation.metrics.type_names,
    )
    cfg = config.evaluation
    evaluator = run_evaluator(boxes, cfg.metrics, class_names=config.data.classes, within=cfg.within)
    return Evaluation(evaluator, evaluator.compute(), frame_ids, detections, in_zone)


def _examine_batches(
    config: Config,
    recipe: Recipe,
    frames: FrameDataset,
    device: torch.device,
    pictures: Path,
    check: Callable[[], None],
) -> list[_ExaminedBatch]:
    """Detect in the batches of this process."""
    size, examined = config.evaluation.batch_size, []
    batches = load_evaluation_batches(config, frames, rank=rank(), world_size=world_size())
    to_draw = _space_evenly(config.evaluation.pictures, len(frames))
    with report_progress("evaluate", 0, len(frames)) as report:
        for start in range(0, len(frames), size * world_size()):  # all processes turn as often
            check()
            if (batch := next(batches, None)) is None:
                continue
            flips = config.evaluation.test_time_flips
            found = detect(recipe, batch, device, mixed_precision=config.train.mixed_precision, flips=flips)
            labels = tuple(rows.numpy() for rows in batch.ground_truth)
            in_zone = map(find_boxes_in_zones, (rows.box for rows in found), batch.no_label_zones)
            examined.append(_ExaminedBatch(batch.frame_ids, labels, found, tuple(in_zone)))
            first = start + size * rank()
            for index in to_draw & set(range(first, first + batch.size)):
                _draw_frame(pictures, batch, index - first, labels[index - first], found[index - first], config)
            done = min(start + size * world_size(), len(frames))
            report(done, done - start)
    return examined


def build_metrics(evaluation: Evaluation, meta: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return the content of metrics.json. It holds no wall-clock time, so that equal runs have equal files.

    Args:
        evaluation: what was found.
        meta: what to put under "meta" beside the config's hash and the table's own.
        config: the settings that the hash is of.
    """
    metrics = evaluation.table.to_json()
    of_table = {name: value for name, value in metrics["meta"].items() if name != "seconds"}
    return metrics | {"meta": {**meta, "config_hash": config_hash(config_values(config)), **of_table}}


@torch.inference_mode()
def detect(
    recipe: Recipe, batch: Batch, device: torch.device, *, mixed_precision: MixedPrecision, flips: Flips = "none"
) -> tuple[Detections, ...]:
    """Detect in each frame of a batch; leaves the model in evaluation mode.

    Args:
        recipe: the detector.
        batch: frames, on any device.
        device: where the network runs.
        mixed_precision: arithmetic of the network, as in `train.mixed_precision`.
        flips: average the maps over mirror images of each frame, for a centre head.

    Returns:
        Detections per frame, on the host.
    """
    recipe.model.eval()
    on_device = batch.to(device, non_blocking=True)
    with autocast(device, mixed_precision):
        maps = recipe.model(on_device) if flips == "none" else average_over_flips(recipe.model, on_device, flips)
    return tuple(rows.numpy() for rows in recipe.decode(maps))


def _space_evenly(count: int, length: int) -> frozenset[int]:
    """Return at most `count` positions spread over range(length)."""
    return frozenset(np.linspace(0, length - 1, min(count, length)).round().astype(int).tolist())


def _remove_pictures(folder: Path, frames: FrameDataset) -> None:
    """Remove what an earlier evaluation of these frames drew. Files of any other name are somebody else's."""
    if folder.is_dir():
        names = {_name_picture(frame_id) for frame_id in frames.frame_ids}
        for path in folder.iterdir():
            if path.name in names and path.is_file():
                path.unlink()


def _name_picture(frame_id: str) -> str:
    """Name the file of a frame's picture; no file system gets to see what a name may not hold."""
    return f"{simplify_file_name(frame_id, longest=150)}.png"


def _draw_frame(folder: Path, batch: Batch, index: int, labels: GroundTruth, found: Detections, config: Config) -> None:
    frame_id = batch.frame_ids[index]
    (x0, y0, _), (x1, y1, _) = config.grid.lower, config.grid.upper
    draw_bev(
        folder / _name_picture(frame_id),
        batch.points[batch.frame_of_point == index].cpu().numpy(),
        labels,
        found,
        class_names=config.data.classes,
        title=frame_id,
        limits=(x0, y0, x1, y1),
        min_score=config.evaluation.picture_score,
        zones=batch.no_label_zones[index] if batch.no_label_zones else (),
    )


def _write_title(run: Run, step: int, num_frames: int) -> str:
    within = run.config.evaluation.within
    where = (
        ""
        if within is None
        else f", only boxes with centres in x {within[0]:g} to {within[2]:g} m, y {within[1]:g} to {within[3]:g} m"
    )
    return f"{run.folder.name} after {step} steps, {num_frames} frames{where}"
