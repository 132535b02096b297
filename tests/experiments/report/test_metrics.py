"""The metrics and differences of the report against other ways to get them."""

from __future__ import annotations

import json
from copy import copy
from types import SimpleNamespace

import numpy as np
import pytest

from pcdet_poly.evaluation import evaluate, find_boxes_in_zones
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedSweep
from pcdet_poly.experiments.report.formats.page_data import describe_arm
from pcdet_poly.experiments.report.metrics import (
    MEAN,
    AdjustedP,
    ArmDifference,
    DetectorMetrics,
    RankingMetric,
    TableCell,
    adjust_p,
)
from pcdet_poly.experiments.statistics import Estimate, estimate_over_seeds

MAIN = RankingMetric("3D", 2, "aph")


def test_all_runs_of_a_whole_study_count(sweep_runs: FinishedSweep, detector: DetectorRuns) -> None:
    assert sweep_runs.excluded == ()
    assert {arm: list(runs) for arm, runs in detector.runs.items()} == {
        "focal": [0, 1], "drop1": [0, 1], "epsilon1": [0, 1],
    }  # fmt: skip


def test_values_are_those_of_metrics_json(detector: DetectorRuns, metrics: DetectorMetrics) -> None:
    for arm, runs in detector.runs.items():
        written = [json.loads((r.run.folder / "metrics.json").read_text()) for r in runs.values()]
        for name, part, level, metric in metrics.list_cells("VEHICLE", "PEDESTRIAN"):
            expected = [100 * table[part][f"OBJECT_TYPE_TYPE_{name}_LEVEL_{level}"][metric] for table in written]
            # Points, of APs that agree to 1e-6.
            assert metrics.get_points(arm, TableCell(name, part, level, metric)) == pytest.approx(expected, abs=1e-4)
    classes = [metrics.get_points("focal", TableCell(kind, *MAIN)) for kind in detector.config.data.classes]
    assert metrics.get_points("focal", TableCell(MEAN, *MAIN)) == pytest.approx(np.mean(classes, axis=0))
    near = metrics.get_points("focal", TableCell("RANGE_TYPE_VEHICLE_[0, 30)", *MAIN))
    assert near == pytest.approx(
        metrics.get_points("focal", TableCell("VEHICLE", *MAIN))
    )  # nothing is farther away here


def test_a_draw_is_an_evaluation_of_the_frames_it_draws(detector: DetectorRuns, metrics: DetectorMetrics) -> None:
    trained = detector.runs["epsilon1"][1]
    draw = np.array([[2.0, 0.0, 1.0, 1.0]])
    frames = [i for s, n in zip(metrics.segments, draw[0], strict=True) for _ in range(int(n))
              for i, name in enumerate(detector.labels.segments) if name == s]  # fmt: skip
    found = [trained.detections.detections[i] for i in frames]
    table = evaluate(
        found,
        [detector.labels.ground_truth[i] for i in frames],
        detector.config.evaluation.metrics,
        class_names=detector.config.data.classes,
        no_label_zone=[
            find_boxes_in_zones(f.box, detector.labels.zones[i]) for f, i in zip(found, frames, strict=True)
        ],
    )
    ours = metrics.compute_points(trained, draw)[0]
    for kind in detector.config.data.classes:
        expected = 100 * table["3D"][f"OBJECT_TYPE_TYPE_{kind}_LEVEL_2"]["aph"]
        # Points, of APs that agree to 1e-6.
        assert metrics.select_cell(ours, TableCell(kind, *MAIN)) == pytest.approx(expected, abs=1e-4)


def test_differences_are_paired_by_seed(metrics: DetectorMetrics) -> None:
    cell = TableCell("VEHICLE", *MAIN)
    one = metrics.compare_arm("drop1", cell)
    expected = metrics.get_points("drop1", cell) - metrics.get_points("focal", cell)
    assert one.by_seed == pytest.approx(expected)
    by_t = estimate_over_seeds(expected)
    assert (one.over_seeds.low, one.over_seeds.p) == pytest.approx((by_t.low, by_t.p))
    assert one.over_segments.low < one.over_segments.mean < one.over_segments.high


def _difference(arm: str, kind: str, p: float) -> ArmDifference:
    e = Estimate(*(np.array(v) for v in (1.0, 0.0, 2.0, p)))
    return ArmDifference(arm, TableCell(kind, *MAIN), (0, 1, 2), (1.0, 1.0, 1.0), e, e, e, 1.0)


def test_correction_is_over_classes_and_over_everything() -> None:
    found = [
        _difference("a", "VEHICLE", 0.01),
        _difference("a", "PEDESTRIAN", 0.04),
        _difference("a", MEAN, 0.001),
        _difference("b", "VEHICLE", 0.02),
        _difference("b", "PEDESTRIAN", 0.5),
    ]
    p = adjust_p(found)
    assert p["a", "VEHICLE"] == AdjustedP(0.02, 0.04)
    assert p["a", "PEDESTRIAN"].over_classes == 0.04
    assert p["b", "VEHICLE"].over_everything == pytest.approx(0.06)
    assert ("a", MEAN) not in p


def test_arms_say_what_they_change(detector: DetectorRuns) -> None:
    assert describe_arm(detector, "focal") == ""
    assert describe_arm(detector, "drop1") == "classification.num_terms = 1"
    assert describe_arm(detector, "epsilon1") == "classification.epsilon = 1.0"


def test_the_mean_over_one_class_is_not_shown_twice(metrics: DetectorMetrics) -> None:
    assert metrics.shown_classes == (*metrics.detector.config.data.classes, MEAN)
    config = metrics.detector.config
    one_class = config.model_copy(update={"data": config.data.model_copy(update={"classes": ("VEHICLE",)})})
    alone = copy(metrics)
    alone.detector = SimpleNamespace(config=one_class)  # type: ignore[assignment]
    assert {cell[0] for cell in alone.list_cells()} == {"VEHICLE"}
