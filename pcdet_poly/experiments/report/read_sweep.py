"""A sweep's folder -> the runs that may be compared, and by name and reason those that may not."""

from __future__ import annotations

import math

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.engine.run import Run
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import ApTable, DetectionsFile, Evaluator, read_detections
from pcdet_poly.evaluation.evaluator import resolve_cutoffs
from pcdet_poly.evaluation.metrics_file import read_metrics
from pcdet_poly.evaluation.tabulate import build_evaluation_set
from pcdet_poly.experiments.report.finished_sweep import (
    LOW_IOU_SHARE,
    DetectorRuns,
    ExcludedTrial,
    FinishedRun,
    FinishedSweep,
)
from pcdet_poly.experiments.report.labels import ValidationLabels, read_labels
from pcdet_poly.experiments.sweep.description import SweepDescription, TrialRecord
from pcdet_poly.experiments.sweep.folder import SweepFolder, read_description
from pcdet_poly.experiments.sweep.pairing import Pairing, find_mismatch

_TOLERANCE = 1e-5  # largest difference of a metric between metrics.json and its recomputation


def read_finished_sweep(folder: SweepFolder) -> FinishedSweep:
    """Read every trial. What cannot be read, or compared, is left out and named."""
    description = read_description(folder)
    excluded: list[ExcludedTrial] = []
    detectors = tuple(_read_detector(folder, description, name, excluded) for name in description.detectors)
    return FinishedSweep(folder.path.resolve().name, detectors, tuple(excluded), len(description.trials))


def _read_detector(
    folder: SweepFolder, description: SweepDescription, name: str, excluded: list[ExcludedTrial]
) -> DetectorRuns:
    baseline, arms = description.baseline, description.arms
    others = tuple(arm.name for arm in arms if arm.has_own_config)
    trials = [trial for trial in description.trials if trial.detector == name]
    configs = {trial.arm: load_config(folder.config_path(trial.name)) for trial in reversed(trials)}
    labels = read_labels(configs[baseline], description.pieces_per_segment)
    runs: dict[str, dict[int, FinishedRun]] = {arm.name: {} for arm in arms}
    for trial in sorted(trials, key=lambda trial: trial.arm != baseline):  # the baseline first
        try:
            run = read_trial(folder, trial, labels)
            if trial.arm != baseline:
                _check_comparable(run, runs[baseline].get(trial.seed), same_network=trial.arm not in others)
        except UserError as problem:
            excluded.append(ExcludedTrial(trial.name, name, trial.arm, trial.seed, str(problem)))
        else:
            runs[trial.arm][trial.seed] = run
    expected = {arm.name: arm.expect for arm in arms if arm.expect}
    by_arm = {arm.name: configs[arm.name] for arm in arms}
    return DetectorRuns(name, baseline, by_arm, runs, labels, expected, description.questions, others)


def read_trial(folder: SweepFolder, trial: TrialRecord, labels: ValidationLabels) -> FinishedRun:
    """Read a finished, whole run.

    Args:
        folder: the sweep's folder.
        trial: which one.
        labels: of the frames that the baseline was evaluated on.

    Returns:
        The run with its counts.

    Raises:
        UserError: the run may not be compared; the message is the reason.
    """
    import torch

    _check_ended(folder, trial.name)
    path = folder.run_path(trial.name)
    for file in ("config.yaml", "metrics.json", "detections.parquet", "pairing.json"):
        if not (path / file).is_file():
            raise UserError(f"incomplete: {file} is missing")
    run = Run(path, load_config(path / "config.yaml"), torch.device("cpu"))
    metrics, metrics_step = read_metrics(path / "metrics.json")
    step = load_checkpoint(run.find_checkpoint("last")).step
    if step != metrics_step:
        raise UserError(f"metrics.json is of step {metrics_step}, the last checkpoint of step {step}")
    detections = read_detections(path / "detections.parquet")
    evaluator = _count_by_segment(run.config, run.config.evaluation.metrics, detections, labels)
    _check_metrics(evaluator.compute(), metrics)
    low_iou = _count_by_segment(run.config, _lower_iou(run.config.evaluation.metrics), detections, labels)
    return FinishedRun(run, trial.seed, evaluator, low_iou, detections, Pairing.read(path / "pairing.json"))


def _check_ended(folder: SweepFolder, name: str) -> None:
    end = folder.read_end(name)
    if end.status == "failed":
        raise UserError(f"failed: {end.reason}")
    if end.status == "waiting":
        steps = folder.count_done_steps(name)
        raise UserError(f"not finished: stopped after {steps} steps" if steps else "missing: it never started")


def _lower_iou(metrics: MetricsConfig) -> MetricsConfig:
    """The metrics with LOW_IOU_SHARE of their overlaps, by class alone."""
    return metrics.scale_thresholds(LOW_IOU_SHARE).model_copy(update={"breakdowns": ("OBJECT_TYPE",)})


def _count_by_segment(
    config: Config, metrics: MetricsConfig, found: DetectionsFile, labels: ValidationLabels
) -> Evaluator:
    """Compute the counts behind metrics.json once more, now by segment."""
    if found.frame_ids != labels.frame_ids:
        raise UserError(f"{len(found.frame_ids)} frames were evaluated, other ones than the sweep's baseline names")
    boxes = build_evaluation_set(
        found.detections,
        labels.ground_truth,
        class_names=found.class_names,
        no_label_zone=labels.find_in_zones(found.detections),
        segments=labels.segments,
        type_names=metrics.type_names,
    )
    cfg = resolve_cutoffs(metrics, boxes, within=config.evaluation.within)
    evaluator = Evaluator(cfg, class_names=found.class_names, within=config.evaluation.within)
    evaluator.add(boxes)
    return evaluator


def _check_metrics(ours: ApTable, written: ApTable) -> None:
    for part, breakdown, metric, value in written.iterate_rows():
        if not math.isfinite(value):
            raise UserError(f"metrics.json: {part} {breakdown} {metric} is {value}")
        if not abs(ours[part][breakdown][metric] - value) <= _TOLERANCE:
            raise UserError(f"metrics.json and detections.parquet are not of one evaluation ({part} {breakdown})")


def _check_comparable(run: FinishedRun, base: FinishedRun | None, *, same_network: bool) -> None:
    if base is None:
        raise UserError(f"no partner: the baseline's run with seed {run.seed} is missing or left out")
    if mismatch := find_mismatch(run.pairing, base.pairing, same_network=same_network):
        raise UserError(f"not paired with the baseline: {mismatch}")
    here, there = run.detections.provenance.data_hash, base.detections.provenance.data_hash
    if None not in (here, there) and here != there:
        raise UserError(f"evaluated on other data than the baseline: a store of data.val has changed ({here}, {there})")
    ours, theirs = run.evaluator.counter, base.evaluator.counter
    if (ours.layout, ours.cfg.levels, run.evaluator.within) != (
        theirs.layout, theirs.cfg.levels, base.evaluator.within,
    ):  # fmt: skip
        raise UserError("evaluated with other metrics settings than the baseline")
