"""What each arm's loss did: its course, mean P_t, the first polynomial's share of the gradient, calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pcdet_poly.experiments.loss_lab.examine_run import calibration_error, right_detections, study_run
from pcdet_poly.experiments.report.finished_sweep import Model, Trained
from pcdet_poly.experiments.report.labels import Labels

CURVES = ("loss/", "p_t/", "first_term_share/")  # beginnings of the logged names that are drawn
_END = 0.2  # share of the training over which the last values are averaged


@dataclass(frozen=True)
class Behaviour:
    """One arm. Means over its seeds."""

    arm: str
    curves: dict[str, tuple[list[int], list[float]]]  # logged name -> steps, values
    at_end: dict[str, float]  # the same names -> mean over the last fifth of the training
    calibration_error: float  # of the detections


@dataclass(frozen=True)
class Histogram:
    """Cells by P_t, 50 bins over [0, 1], of one run on some validation frames."""

    arm: str
    seed: int
    peaks: list[int]
    background: list[int]


def behaviour_of(model: Model, arm: str) -> Behaviour:
    """From the logs and detections of the arm's runs, at least one."""
    runs = list(model.runs[arm].values())
    logs = [[line for line in trained.run.read_log() if line["event"] == "step"] for trained in runs]
    names = dict.fromkeys(name for log in logs for line in log for name in line if name.startswith(CURVES))
    curves = {name: _mean_curve(logs, name) for name in names}
    at_end = {name: _mean_at_end(*curve) for name, curve in curves.items()}
    errors = [_calibration_error(trained, model.labels) for trained in runs]
    return Behaviour(arm, curves, at_end, float(np.mean(errors)))


def histograms(model: Model, num_frames: int) -> list[Histogram]:
    """Of one run per arm, all with one seed. None for no frames."""
    if num_frames < 1:
        return []
    found = []
    for arm, seed in one_run_each(model):
        study = study_run(model.runs[arm][seed].run.folder, [], torch.device("cpu"), num_frames=num_frames)
        found.append(Histogram(arm, seed, study.peaks.tolist(), study.background.tolist()))
    return found


def one_run_each(model: Model) -> list[tuple[str, int]]:
    """(arm, seed) of one run per arm: with the seed that most arms have, the first of these; or with its first."""
    seeds = [seed for runs in model.runs.values() for seed in runs]
    if not seeds:
        return []
    usual = max(dict.fromkeys(sorted(seeds)), key=seeds.count)
    return [(arm, usual if usual in runs else min(runs)) for arm, runs in model.runs.items() if runs]


def _mean_curve(logs: Sequence[Iterable[dict[str, float]]], name: str) -> tuple[list[int], list[float]]:
    """Mean over seeds at the steps where the seeds have the value."""
    at_step: dict[int, list[float]] = {}
    for log in logs:
        for line in log:
            if name in line:
                at_step.setdefault(int(line["step"]), []).append(line[name])
    steps = sorted(at_step)
    return steps, [float(np.mean(at_step[step])) for step in steps]


def _mean_at_end(steps: Sequence[int], values: Sequence[float]) -> float:
    start = (1 - _END) * steps[-1]
    return float(np.mean([value for step, value in zip(steps, values, strict=True) if step > start]))


def _calibration_error(trained: Trained, labels: Labels) -> float:
    pairs = list(zip(trained.detections.detections, labels.ground_truth, strict=True))
    # Indexing copies: what comes from a Parquet file is read-only, which torch warns of.
    right = [right_detections(found[np.arange(len(found))].to("cpu"), truth.to("cpu")) for found, truth in pairs]
    return calibration_error(np.concatenate([found.score for found, _ in pairs]), np.concatenate(right))
