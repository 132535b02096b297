"""What each arm's loss did: its course, mean P_t, the first polynomial's share of the gradient, calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from pcdet_poly.experiments.calibration import compute_calibration
from pcdet_poly.experiments.loss_lab.examine_run import examine_run, find_right_detections
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedRun
from pcdet_poly.experiments.report.labels import ValidationLabels

LOGGED = ("loss/", "p_t/", "first_term_share/")  # beginnings of the logged names that are drawn
_END = 0.2  # share of the training over which the last values are averaged


class LoggedCurve(NamedTuple):
    """A logged value over training."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class LossBehaviour:
    """What the loss of one arm did; means over its seeds."""

    arm: str
    curves: dict[str, LoggedCurve]  # by logged name
    at_end: dict[str, float]  # the same names -> mean over the last fifth of the training
    calibration_error: float  # of the detections


@dataclass(frozen=True)
class PtCounts:
    """Heatmap cells of one run by P_t, in 50 bins over [0, 1], on some validation frames."""

    arm: str
    seed: int
    peaks: list[int]
    background: list[int]


def summarize_loss(detector: DetectorRuns, arm: str) -> LossBehaviour:
    """Summarize the logs and the detections of the arm's runs, of which there is at least one."""
    runs = list(detector.runs[arm].values())
    logs = [[line for line in run.run.read_log() if line["event"] == "step"] for run in runs]
    names = dict.fromkeys(name for log in logs for line in log for name in line if name.startswith(LOGGED))
    curves = {name: _average_logs(logs, name) for name in names}
    at_end = {name: _average_end(curve) for name, curve in curves.items()}
    errors = [_compute_calibration_error(run, detector.labels) for run in runs]
    return LossBehaviour(arm, curves, at_end, float(np.mean(errors)))


def count_p_t(detector: DetectorRuns, num_frames: int) -> list[PtCounts]:
    """Count cells by P_t for one run per arm, all with one seed, on `num_frames` frames; nothing for no frames."""
    if num_frames < 1:
        return []
    counts = []
    for arm, seed in pick_one_run_per_arm(detector):
        folder = detector.runs[arm][seed].run.folder
        examined = examine_run(folder, [], torch.device("cpu"), num_frames=num_frames)
        counts.append(PtCounts(arm, seed, examined.peaks.tolist(), examined.background.tolist()))
    return counts


def pick_one_run_per_arm(detector: DetectorRuns) -> list[tuple[str, int]]:
    """Pick (arm, seed) of one run per arm: the lowest seed that most arms have, or else the arm's lowest."""
    seeds = [seed for runs in detector.runs.values() for seed in runs]
    if not seeds:
        return []
    usual = max(dict.fromkeys(sorted(seeds)), key=seeds.count)
    return [(arm, usual if usual in runs else min(runs)) for arm, runs in detector.runs.items() if runs]


def _average_logs(logs: Sequence[Iterable[dict[str, float]]], name: str) -> LoggedCurve:
    """Average over seeds at the steps where the seeds have the value."""
    at_step: dict[int, list[float]] = {}
    for log in logs:
        for line in log:
            if name in line:
                at_step.setdefault(int(line["step"]), []).append(line[name])
    steps = sorted(at_step)
    return LoggedCurve(steps, [float(np.mean(at_step[step])) for step in steps])


def _average_end(curve: LoggedCurve) -> float:
    start = (1 - _END) * curve.steps[-1]
    return float(np.mean([value for step, value in zip(*curve, strict=True) if step > start]))


def _compute_calibration_error(run: FinishedRun, labels: ValidationLabels) -> float:
    pairs = list(zip(run.detections.detections, labels.ground_truth, strict=True))
    # Indexing copies: what comes from a Parquet file is read-only, which torch warns of.
    right = [find_right_detections(found[np.arange(len(found))].to("cpu"), truth.to("cpu")) for found, truth in pairs]
    return compute_calibration(np.concatenate([found.score for found, _ in pairs]), np.concatenate(right)).error
