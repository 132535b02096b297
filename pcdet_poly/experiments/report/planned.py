"""The planned questions of a study and their answers, in the main metric and in those that stand beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcdet_poly.experiments.arm_tests import (
    ArmTable,
    Equality,
    estimate_contrast,
    estimate_planned_contrast,
    test_equality,
)
from pcdet_poly.experiments.detectable import (
    find_detectable_arms,
    find_detectable_for,
    find_detectable_planned,
    find_t_limit,
)
from pcdet_poly.experiments.many_arms import ManyDifferences, compare_with_baseline
from pcdet_poly.experiments.report.epsilon_choice import find_trend_arms
from pcdet_poly.experiments.report.learning import list_learnt_classes
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric
from pcdet_poly.experiments.statistics import Estimate, adjust_by_holm
from pcdet_poly.experiments.sweep.questions import Contrast

_DEFAULT_TREND = "classification.epsilon"
_LEAST_TREND_ARMS = 3


@dataclass(frozen=True)
class ContrastAnswer:
    """The answer to a planned contrast."""

    question: Contrast
    estimate: Estimate | None  # None where an arm of it is not complete
    p: float  # adjusted over the planned contrasts by Holm's method
    detectable: float  # smallest true effect that is found with 80 % power


@dataclass(frozen=True)
class TrendAnswer:
    """The slope over a setting."""

    setting: str
    arms: tuple[str, ...]
    slope: Estimate  # points per unit of the setting
    detectable: float


@dataclass(frozen=True)
class Answers:
    """All answers in one metric."""

    metric: str  # in words
    classes: tuple[str, ...]
    arms: tuple[str, ...]  # columns of the table
    table: ArmTable
    equality: Equality
    contrasts: tuple[ContrastAnswer, ...]
    trend: TrendAnswer | None
    many: ManyDifferences
    detectable: tuple[float, ...]  # of each arm of `many`: smallest true difference found with 80 % power, or NaN


def choose_main_metric(metrics: DetectorMetrics) -> RankingMetric:
    """Choose the metric that decides: the declared one, or what comes nearest to it of those evaluated."""
    main = metrics.detector.questions.main
    box_type = main.box_type if main.box_type in metrics.box_types else metrics.box_types[0]
    level = main.level if main.level in metrics.levels else min(metrics.levels)
    return RankingMetric(box_type, level, main.metric)


def choose_main_classes(metrics: DetectorMetrics) -> tuple[str, ...]:
    """Choose the classes whose mean decides: the declared ones, or those that some arm has learnt."""
    declared = metrics.detector.questions.main.classes
    learnt = list_learnt_classes(metrics)
    if declared == "learnt":
        return tuple(learnt)
    return tuple(name for name in metrics.classes if name in declared)


def answer_questions(metrics: DetectorMetrics) -> tuple[Answers, ...]:
    """Answer the planned questions: in the main metric, then beside it at a low overlap and in the official ranking.

    Nothing is answered where no class was learnt, or where fewer than two arms are complete.
    """
    classes, main = choose_main_classes(metrics), choose_main_metric(metrics)
    if not classes or len(metrics.complete_arms) < 2:
        return ()
    answers = [answer_in_metric(metrics, main, classes), answer_in_metric(metrics, main, classes, low_iou=True)]
    if main != metrics.ranking:
        answers.append(answer_in_metric(metrics, metrics.ranking, classes))
    return tuple(answers)


def answer_in_metric(
    metrics: DetectorMetrics, ranking: RankingMetric, classes: tuple[str, ...], *, low_iou: bool = False
) -> Answers:
    """Answer all questions in one metric.

    Args:
        metrics: of the detector's runs.
        ranking: the metric.
        classes: those whose mean is taken.
        low_iou: count where a part of the official overlap is enough.

    Returns:
        The answers.
    """
    table, arms = metrics.build_table(ranking, classes, low_iou=low_iou), tuple(metrics.complete_arms)
    many = compare_with_baseline(table, arms.index(metrics.detector.baseline))
    return Answers(
        f"{ranking}{' at a low IoU' if low_iou else ''}",
        classes,
        arms,
        table,
        test_equality(table),
        _answer_contrasts(metrics, table, arms),
        _answer_trend(metrics, table, arms),
        many,
        find_detectable_arms(table, many),
    )


def _answer_contrasts(metrics: DetectorMetrics, table: ArmTable, arms: tuple[str, ...]) -> tuple[ContrastAnswer, ...]:
    questions = metrics.detector.questions.contrasts
    found = [
        estimate_planned_contrast(table, _weigh_arms(one, arms)) if set(one.weights) <= set(arms) else None
        for one in questions
    ]
    p = adjust_by_holm(np.array([math.nan if one is None else float(one.estimate.p) for one in found]))
    return tuple(
        ContrastAnswer(
            question,
            None if one is None else one.estimate,
            float(each),
            math.nan if one is None else find_detectable_planned(table, _weigh_arms(question, arms), len(questions)),
        )
        for question, one, each in zip(questions, found, p, strict=True)
    )


def _weigh_arms(contrast: Contrast, arms: tuple[str, ...]) -> np.ndarray:
    return np.array([float(contrast.weights.get(arm, 0)) for arm in arms])


def _answer_trend(metrics: DetectorMetrics, table: ArmTable, arms: tuple[str, ...]) -> TrendAnswer | None:
    setting = metrics.detector.questions.trend or _DEFAULT_TREND
    values = {arm: value for arm, value in find_trend_arms(metrics.detector, setting).items() if arm in arms}
    if len(set(values.values())) < _LEAST_TREND_ARMS:
        return None
    mean = np.mean(list(values.values()))
    weights = np.array([values[arm] - mean if arm in values else 0.0 for arm in arms])
    one = estimate_contrast(table, weights / (weights**2).sum(), pooled=False)
    freedom = float(one.freedom)
    smallest = math.nan
    if math.isfinite(freedom):
        smallest = find_detectable_for(one, find_t_limit(freedom))
    return TrendAnswer(setting, tuple(values), one.estimate, smallest)
