"""What the loss did, against the logs."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.loss_behaviour import summarize_loss


def test_what_the_loss_did_is_in_the_logs(detector: DetectorRuns) -> None:
    behaviour = summarize_loss(detector, "epsilon1")
    logs = [[line for line in r.run.read_log() if line["event"] == "step"] for r in detector.runs["epsilon1"].values()]
    steps, values = behaviour.curves["loss/heatmap"]
    assert steps == [line["step"] for line in logs[0]] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert values[3] == pytest.approx(np.mean([log[3]["loss/heatmap"] for log in logs]))
    last = np.mean([[line["loss/heatmap"] for line in log[-2:]] for log in logs])  # steps after 12.8
    assert behaviour.at_end["loss/heatmap"] == pytest.approx(last)
    assert 0 <= behaviour.calibration_error <= 1


def test_histograms_count_every_cell(small_report: DetectorReport) -> None:
    assert [one.arm for one in small_report.histograms] == ["focal", "drop1", "epsilon1"]
    for one in small_report.histograms:
        assert sum(one.peaks) + sum(one.background) == 4 * 3 * 32 * 32
