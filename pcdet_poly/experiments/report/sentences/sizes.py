"""What the size curve says: does a polynomial do anything that a loss of another size does not?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pcdet_poly.experiments.arm_tests import ArmTable
from pcdet_poly.experiments.report.gradient_sizes import ArmSize, compare_sizes
from pcdet_poly.experiments.report.planned import Answers
from pcdet_poly.experiments.report.sentences.number_words import format_gain, format_p
from pcdet_poly.experiments.size_curve import SizeCurve, fit_size_curve
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS

_LEAST_ARMS = 3
_LEAST_DOUBLINGS = 0.1  # of the gradient's size, to be told of a contrast: by 7 %


def fit_answers(main: Answers, sizes: Mapping[str, ArmSize]) -> tuple[tuple[str, ...], SizeCurve] | None:
    """Fit the size curve to the arms whose size is known.

    Args:
        main: the answers in the main metric.
        sizes: by arm.

    Returns:
        The arms and their curve; None for too few seeds, arms or different sizes.
    """
    arms = tuple(arm for arm in main.arms if arm in sizes and sizes[arm].size > 0)
    log2_size = np.log2([sizes[arm].size for arm in arms]) if arms else np.zeros(0)
    if len(arms) < _LEAST_ARMS or main.table.num_seeds < MIN_SEEDS or np.ptp(log2_size) < 0.1:
        return None
    columns = [main.arms.index(arm) for arm in arms]
    table = main.table
    drawn = None if table.resampled is None else table.resampled[:, :, columns]
    kept = ArmTable(table.points[:, columns], drawn, table.num_segments)
    return arms, fit_size_curve(kept, log2_size, np.array([sizes[arm].is_polynomial for arm in arms]))


def describe_size_curve(main: Answers, sizes: Mapping[str, ArmSize]) -> list[str]:
    """Describe the size curve in sentences; none where there is no curve.

    Args:
        main: the answers in the main metric.
        sizes: by arm.
    """
    fitted = fit_answers(main, sizes)
    if fitted is None:
        return []
    arms, curve = fitted
    listed = ", ".join(f"{arm} {sizes[arm].size:.2f}" for arm in arms)
    p = curve.lack_of_fit
    left = "" if math.isnan(p) else f"; what it leaves between arms: p = {format_p(p)} (F test of lack of fit)"
    lines = [
        f"Size curve: {main.metric} against the size of the classification's gradient ({listed}): "
        f"{format_gain(curve.slope)} points per doubling, p = {format_p(float(curve.slope.p))}; "
        f"r = {curve.correlation:.3f} over arms{left}."
    ]
    return lines + _describe_beyond(arms, curve)


def describe_contrast_sizes(main: Answers, sizes: Mapping[str, ArmSize]) -> dict[str, str]:
    """Describe how far the arms of planned contrasts differ in gradient size, which they may not have been meant to.

    Args:
        main: the answers in the main metric.
        sizes: by arm.

    Returns:
        A sentence by the contrast's name, where the sizes of its arms are known and differ, and where there is a curve.
    """
    fitted = fit_answers(main, sizes)
    if fitted is None:
        return {}
    arms, curve = fitted
    sentences = {}
    for one in main.contrasts:
        weights = one.question.weights
        doublings = math.log2(compare_sizes(weights, sizes)) if set(weights) <= set(arms) else 0.0
        if abs(doublings) >= _LEAST_DOUBLINGS:
            listed = ", ".join(f"{arm} {sizes[arm].size:.2f}" for arm in weights)
            sentences[one.question.name] = (
                f"On the baseline's predictions its arms differ in gradient size ({listed}), which by the size curve "
                f"is worth {doublings * float(curve.slope.mean):+.2f} points."
            )
    return sentences


def _describe_beyond(arms: tuple[str, ...], curve: SizeCurve) -> list[str]:
    if not curve.beyond:
        return []
    listed = "; ".join(f"{arms[one.arm]} {format_gain(one.estimate)}" for one in curve.beyond)
    found = [arms[one.arm] for one in curve.beyond if one.p <= LEVEL]
    family = f"Holm over {len(curve.beyond)}"
    verdict = (
        f"{', '.join(found)} differ from what their size explains ({family})"
        if found
        else f"no polynomial does more than its size explains ({family})"
    )
    return [f"Beyond size, against the line through the arms without a polynomial: {listed} points: {verdict}."]
