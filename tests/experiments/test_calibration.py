"""The reliability curve and its error against a case worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.experiments.calibration import compute_calibration


def test_calibration_by_hand() -> None:
    score = np.array([0.05, 0.15, 0.17, 0.95, 1.0])
    curve = compute_calibration(score, np.array([False, True, False, True, True]))
    assert curve.mean_score == pytest.approx([0.05, 0.16, 0.975])
    assert curve.share_right == pytest.approx([0, 0.5, 1])
    assert curve.count.tolist() == [1, 2, 2]
    assert curve.error == pytest.approx((0.05 + 2 * 0.34 + 2 * 0.025) / 5)


def test_no_answers_have_no_error() -> None:
    assert compute_calibration(np.zeros(0), np.zeros(0, bool)).error == 0
