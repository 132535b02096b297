"""Gradient sizes of arms on the baseline's maps, and the planned answers of a trained study."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.config.load import load_config
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.gradient_sizes import has_polynomial, measure_arm_sizes
from pcdet_poly.experiments.report.metrics import DetectorMetrics, RankingMetric, TableCell
from pcdet_poly.experiments.report.planned import answer_in_metric, choose_main_metric

SLIM = Path(__file__).resolve().parents[3] / "configs" / "slim.yaml"


def test_sizes_are_ratios_of_gradients(detector: DetectorRuns) -> None:
    """epsilon 1 adds a gradient of the focal loss's sign, Drop-1 leaves a part of it."""
    sizes = measure_arm_sizes(detector, 4)
    assert sizes["focal"].size == 1
    assert sizes["epsilon1"].size > 1.2
    assert 0 < sizes["drop1"].size < 0.9
    assert [sizes[arm].is_polynomial for arm in ("focal", "drop1", "epsilon1")] == [False, False, True]
    assert measure_arm_sizes(detector, 0) == {}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("classification.epsilon=0", False),
        ("classification.weight=2", False),
        ("classification.epsilon=[0, 1, 0]", True),
        ("classification.epsilon_background=-1", True),
        ("classification.epsilons=[0, 0.5]", True),
    ],
)
def test_what_counts_as_a_polynomial(setting: str, expected: bool) -> None:
    assert has_polynomial(load_config(SLIM, [setting])) is expected


def test_the_table_of_a_low_overlap_has_more_points(metrics: DetectorMetrics) -> None:
    main = choose_main_metric(metrics)
    assert main == RankingMetric("BEV", 1, "ap")
    official = answer_in_metric(metrics, main, metrics.classes)
    low = answer_in_metric(metrics, main, metrics.classes, low_iou=True)
    assert low.metric == "BEV LEVEL_1 AP at a low IoU"
    assert low.table.points.mean() >= official.table.points.mean()
    by_class = [metrics.get_points("drop1", TableCell(name, *main)) for name in metrics.classes]
    column = official.arms.index("drop1")
    assert official.table.points[:, column] == pytest.approx(sum(by_class) / len(by_class))


def test_segments_count_by_their_objects(metrics: DetectorMetrics) -> None:
    assert metrics.count_segments(metrics.classes) == pytest.approx(4)  # each of the four has the same objects
