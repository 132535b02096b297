"""Results -> what the page's scripts read: plain types, rounded, no NaN."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pcdet_poly.engine.checkpoint import config_values, first_difference
from pcdet_poly.experiments.report.detector_report import Result, described
from pcdet_poly.experiments.report.finished_sweep import Model, Study
from pcdet_poly.experiments.report.formats.paper_results import PAPER
from pcdet_poly.experiments.report.metrics import Cell, Difference
from pcdet_poly.experiments.report.precision_recall import pr_curve
from pcdet_poly.experiments.report.shown_frames import Scene, Seen
from pcdet_poly.experiments.statistics import Estimate

_CM = 100  # points are whole centimetres in int16: +-327 m
_MOST_CURVE_POINTS = 120


def page_data(study: Study, results: Sequence[Result]) -> dict[str, Any]:
    """Everything on the page."""
    return {
        "study": study.name,
        "trials": study.num_trials,
        "excluded": [{"trial": one.trial, "reason": one.reason} for one in study.excluded],
        "paper": [
            {
                "class": row.kind,
                "method": row.method,
                "cells": {f"{p}|{lv}": pair for (p, lv), pair in row.cells.items()},
            }
            for row in PAPER
        ],
        "models": [_model(study, result) for result in results],
    }


def _model(study: Study, result: Result) -> dict[str, Any]:
    model, numbers = result.model, result.numbers
    cells = numbers.cells()
    return {
        "name": model.name,
        "described": described(study, result),
        "findings": result.findings,
        "baseline": model.baseline,
        "classes": list(numbers.shown),
        "parts": list(numbers.parts),
        "levels": list(numbers.levels),
        "main": list(numbers.main),
        "arms": [_arm(result, arm) for arm in result.arms],
        "values": {_key(cell): {arm: _rounded(numbers.values(arm, cell)) for arm in result.arms} for cell in cells},
        "differences": {
            _key(cell): [_difference(result, one) for one in result.differences if one.cell == cell] for cell in cells
        },
        "ranges": _ranges(result),
        "pr": _pr_curves(result),
        "loss": _loss(result),
        "histograms": {
            h.arm: {"seed": h.seed, "peaks": h.peaks, "background": h.background} for h in result.histograms
        },
        "scenes": [_scene(scene) for scene in result.scenes],
    }


def _arm(result: Result, arm: str) -> dict[str, Any]:
    model = result.model
    return {
        "name": arm,
        "epsilon": result.epsilons.get(arm),
        "expect": model.expected.get(arm),
        "seeds": list(model.runs[arm]),
        "settings": settings_of(model, arm),
    }


def settings_of(model: Model, arm: str) -> str:
    """What the arm changes, such as `classification.epsilon = 1`; several are joined by commas."""
    base, ours = config_values(model.config), config_values(model.configs[arm])
    found: list[str] = []
    ignore = {"train.seed"}
    while (difference := first_difference(base, ours, ignore=frozenset(ignore))) is not None:
        key, _, value = difference
        found.append(f"{key} = {value}")
        ignore.add(key)
    return ", ".join(found)


def _difference(result: Result, one: Difference) -> dict[str, Any]:
    p = result.corrected.get((one.arm, one.cell[0])) if one.cell[1:] == result.numbers.main else None
    return {
        "arm": one.arm,
        "seeds": list(one.seeds),
        "bySeed": _rounded(np.array(one.by_seed)),
        "overSeeds": _estimate(one.over_seeds),
        "overSegments": _estimate(one.over_segments),
        "overBoth": _estimate(one.over_both),
        "claim": _estimate(one.claim),
        "holm": _number(p.over_classes) if p else None,
        "holmAll": _number(p.over_everything) if p else None,
        "detectable": _number(one.detectable),
    }


def _estimate(e: Estimate) -> dict[str, float | None]:
    return {name: _number(float(getattr(e, name))) for name in ("mean", "low", "high", "p")}


def _ranges(result: Result) -> dict[str, dict[str, dict[str, float]]]:
    """Class -> range -> arm -> mean points; empty where ranges were not evaluated."""
    cfg = result.model.config.evaluation.metrics
    if "RANGE" not in cfg.breakdowns:
        return {}
    numbers = result.numbers

    def mean(arm: str, kind: str, limits: str) -> float:
        cell: Cell = (f"RANGE_TYPE_{kind}_{limits}", *numbers.main)
        return round(float(numbers.values(arm, cell).mean()), 3)

    limits = ("[0, 30)", "[30, 50)", "[50, +inf)")
    return {
        kind: {lim: {arm: mean(arm, kind, lim) for arm in result.arms} for lim in limits}
        for kind in result.model.config.data.classes
    }


def _pr_curves(result: Result) -> dict[str, dict[str, list[list[float | None]]]]:
    """Class|part -> arm -> [recalls, precisions], at the hardest level."""
    numbers = result.numbers
    found: dict[str, dict[str, list[list[float | None]]]] = {}
    for kind in result.model.config.data.classes:
        for part in numbers.parts:
            curves = {arm: pr_curve(result.model, arm, kind, part, max(numbers.levels)) for arm in result.arms}
            found[f"{kind}|{part}"] = {arm: [_rounded(c.recall), _rounded(c.precision)] for arm, c in curves.items()}
    return found


def _loss(result: Result) -> dict[str, Any]:
    return {
        one.arm: {
            "curves": {name: _thinned(*curve) for name, curve in one.curves.items()},
            "atEnd": {name: _number(value) for name, value in one.at_end.items()},
            "calibrationError": _number(one.calibration_error),
        }
        for one in result.loss
    }


def _thinned(steps: Sequence[int], values: Sequence[float]) -> list[list[float | None]]:
    """Means of runs of neighbouring points, so that a curve has a bounded number of them."""
    parts = np.array_split(np.arange(len(steps)), min(len(steps), _MOST_CURVE_POINTS))
    x, y = np.asarray(steps, float), np.asarray(values, float)
    return [_rounded(np.array([of[part].mean() for part in parts])) for of in (x, y)]


def _scene(scene: Scene) -> dict[str, Any]:
    points = np.round(scene.points * _CM).clip(-32767, 32767).astype("<i2")
    return {
        "frame": scene.frame_id,
        "points": base64.b64encode(points.tobytes()).decode(),
        "labels": [[*_box(box), int(k)] for box, k in zip(scene.labels.box, scene.labels.label, strict=True)],
        "arms": {arm: _seen(seen) for arm, seen in scene.arms.items()},
    }


def _seen(seen: Seen) -> dict[str, Any]:
    d = seen.detections
    return {
        "seed": seen.seed,
        "found": seen.found.tolist(),
        "detections": [
            [*_box(box), int(label), round(float(score), 2), int(outcome)]
            for box, label, score, outcome in zip(d.box, d.label, d.score, seen.outcome, strict=True)
        ],
    }


def _box(box: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in box]


def _rounded(values: np.ndarray) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _key(cell: Cell) -> str:
    return "|".join(map(str, cell))
