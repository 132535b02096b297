"""Progress where there is no terminal."""

from __future__ import annotations

import pytest

from pcdet_poly.engine import progress as module


def test_lines_show_count_time_rate_and_values(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    with module.report_progress("train", 100, 220) as report:
        for done in range(101, 221):
            clock[0] += 0.5
            report(done, 4, {"loss": done / 1000} if done % 10 == 0 else None)
    lines = capsys.readouterr().err.splitlines()
    # One line every ten seconds: at 20, 40, ... of the 120 steps of half a second; four frames a step.
    assert lines[0] == "train 120/220  0:50 left  8.0 frames/s  loss 0.12"
    assert [line.split()[1] for line in lines] == ["120/220", "140/220", "160/220", "180/220", "200/220", "220/220"]
