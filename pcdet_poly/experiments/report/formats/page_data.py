"""A report -> what the page's scripts read: plain types, rounded, no NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.experiments.report.detector_report import DetectorReport, describe_report
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedSweep
from pcdet_poly.experiments.report.formats.page_frames import build_frame
from pcdet_poly.experiments.report.formats.page_numbers import round_number, round_numbers
from pcdet_poly.experiments.report.formats.paper_results import PAPER
from pcdet_poly.experiments.report.loss_behaviour import LoggedCurve
from pcdet_poly.experiments.report.metrics import ArmDifference, TableCell
from pcdet_poly.experiments.report.precision_recall import compute_precision_recall
from pcdet_poly.experiments.statistics import Estimate
from pcdet_poly.visualization.palette import choose_class_letters

_MOST_CURVE_POINTS = 120


def build_page_data(sweep: FinishedSweep, reports: Sequence[DetectorReport]) -> dict[str, Any]:
    """Build everything on the page."""
    return {
        "study": sweep.name,
        "trials": sweep.num_trials,
        "excluded": [{"trial": one.trial, "reason": one.reason} for one in sweep.excluded],
        "paper": [
            {
                "class": row.class_name,
                "method": row.method,
                "cells": {f"{box_type}|{level}": pair for (box_type, level), pair in row.cells.items()},
            }
            for row in PAPER
        ],
        "models": [_build_detector(sweep, report) for report in reports],
    }


def _build_detector(sweep: FinishedSweep, report: DetectorReport) -> dict[str, Any]:
    detector, metrics, arms = report.detector, report.metrics, report.arms
    cells = metrics.list_cells()
    return {
        "name": detector.name,
        "described": describe_report(sweep, report),
        "findings": report.findings,
        "baseline": detector.baseline,
        "classes": list(metrics.shown_classes),
        "letters": choose_class_letters(metrics.classes),
        "parts": list(metrics.box_types),
        "levels": list(metrics.levels),
        "main": list(metrics.ranking),
        "arms": [_build_arm(report, arm) for arm in arms],
        "values": {_join_key(c): {arm: round_numbers(metrics.get_points(arm, c)) for arm in arms} for c in cells},
        "differences": {
            _join_key(c): [_build_difference(report, one) for one in report.differences if one.cell == c] for c in cells
        },
        "ranges": _build_ranges(report),
        "pr": _build_pr_curves(report),
        "loss": _build_losses(report),
        "histograms": {
            h.arm: {"seed": h.seed, "peaks": h.peaks, "background": h.background} for h in report.histograms
        },
        "scenes": [build_frame(frame) for frame in report.frames],
    }


def _build_arm(report: DetectorReport, arm: str) -> dict[str, Any]:
    detector = report.detector
    return {
        "name": arm,
        "epsilon": report.epsilons.get(arm),
        "expect": detector.expected.get(arm),
        "seeds": list(detector.runs[arm]),
        "settings": describe_arm(detector, arm),
    }


def describe_arm(detector: DetectorRuns, arm: str) -> str:
    """Describe what the arm changes, such as `classification.epsilon = 1`; several are joined by commas."""
    base, ours = config_values(detector.config), config_values(detector.configs[arm])
    changes: list[str] = []
    ignore = {"train.seed"}
    while (difference := find_first_difference(base, ours, ignore=frozenset(ignore))) is not None:
        key, _, value = difference
        changes.append(f"{key} = {value}")
        ignore.add(key)
    if arm in detector.other_detectors:
        return f"a config of its own, {len(changes)} settings are other ones"
    return ", ".join(changes)


def _build_difference(report: DetectorReport, one: ArmDifference) -> dict[str, Any]:
    """Build one difference; what is not known, as p of a single seed, is left out."""
    is_ranking = one.cell.ranking == report.metrics.ranking
    p = report.adjusted_p.get((one.arm, one.cell.class_name)) if is_ranking else None
    values = {
        "arm": one.arm,
        "seeds": list(one.seeds),
        "bySeed": round_numbers(np.array(one.by_seed)),
        "overSeeds": _list_limits(one.over_seeds),
        "overSegments": _list_limits(one.over_segments),
        "overBoth": _list_limits(one.over_both),
        "claim": _list_limits(one.claim),
        "mean": round_number(float(one.claim.mean)),
        "p": round_number(float(one.claim.p)),
        "holm": round_number(p.over_classes) if p else None,
        "holmAll": round_number(p.over_everything) if p else None,
        "detectable": round_number(one.detectable),
    }
    return {name: value for name, value in values.items() if value is not None}


def _list_limits(estimate: Estimate) -> list[float | None]:
    """List the ends of an interval."""
    return [round_number(float(estimate.low)), round_number(float(estimate.high))]


def _build_ranges(report: DetectorReport) -> dict[str, dict[str, dict[str, float]]]:
    """Class -> range -> arm -> mean points; empty where ranges were not evaluated."""
    metrics = report.metrics
    if "RANGE" not in report.detector.config.evaluation.metrics.breakdowns:
        return {}

    def average_points(arm: str, class_name: str, limits: str) -> float:
        cell = TableCell(f"RANGE_TYPE_{class_name}_{limits}", *metrics.ranking)
        return round(float(metrics.get_points(arm, cell).mean()), 3)

    limits = ("[0, 30)", "[30, 50)", "[50, +inf)")
    return {
        name: {lim: {arm: average_points(arm, name, lim) for arm in report.arms} for lim in limits}
        for name in metrics.classes
    }


def _build_pr_curves(report: DetectorReport) -> dict[str, dict[str, list[list[float | None]]]]:
    """Class|box type -> arm -> [recalls, precisions], at the hardest level."""
    metrics, hardest = report.metrics, max(report.metrics.levels)
    built: dict[str, dict[str, list[list[float | None]]]] = {}
    for name in metrics.classes:
        for box_type in metrics.box_types:
            curves = {
                arm: compute_precision_recall(report.detector, arm, name, box_type, hardest) for arm in report.arms
            }
            built[f"{name}|{box_type}"] = {
                arm: [round_numbers(curve.recall), round_numbers(curve.precision)] for arm, curve in curves.items()
            }
    return built


def _build_losses(report: DetectorReport) -> dict[str, Any]:
    return {
        one.arm: {
            "curves": {name: _thin_curve(curve) for name, curve in one.curves.items()},
            "atEnd": {name: round_number(value) for name, value in one.at_end.items()},
            "calibrationError": round_number(one.calibration_error),
        }
        for one in report.losses
    }


def _thin_curve(curve: LoggedCurve) -> list[list[float | None]]:
    """Average runs of neighbouring points, so that a curve has a bounded number of them."""
    num = len(curve.steps)
    parts = np.array_split(np.arange(num), min(num, _MOST_CURVE_POINTS))
    return [round_numbers(np.array([np.asarray(axis, float)[part].mean() for part in parts])) for axis in curve]


def _join_key(cell: TableCell) -> str:
    return "|".join(map(str, cell))
