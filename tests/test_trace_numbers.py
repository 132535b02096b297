"""The comparison of two traces: what counts as a difference, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.trace.compare import SHOWN, find_differences
from benchmarks.trace_numbers import compare_files

TRACE = {
    "environment": {"torch": "2.13.0"},
    "runs": {"learned": {"log": [{"loss": 28.8130836}, {"loss": 0.1}], "gradients": ["aa", "bb"], "ap": float("nan")}},
}


def copy_of(trace: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(trace))


def test_a_trace_read_back_has_no_difference() -> None:
    assert find_differences(TRACE, copy_of(TRACE)) == []


def test_every_difference_is_one_line_with_its_place_and_both_values() -> None:
    after = copy_of(TRACE)
    after["runs"]["learned"]["log"][1]["loss"] = 0.10000000000000002  # the next float64
    after["runs"]["learned"]["gradients"][0] = "ac"
    assert find_differences(TRACE, after) == [
        "runs.learned.log.1.loss: 0.1 -> 0.10000000000000002",
        'runs.learned.gradients.0: "aa" -> "ac"',
    ]


@pytest.mark.parametrize(
    ("before", "after"), [(0.0, -0.0), (1, 1.0), (1, True), (None, 0), ("1", 1), ([], {}), (float("nan"), 0.0)]
)
def test_values_that_python_or_json_could_confuse_differ(before: object, after: object) -> None:
    assert len(find_differences({"value": before}, {"value": after})) == 1


def test_what_only_one_side_has_is_one_line_however_much_it_holds() -> None:
    before, after = {"a": 1, "b": {"c": 2, "d": 3}}, {"e": {"f": [4] * 100}, "a": 1}
    missing, new = find_differences(before, after)
    assert missing == 'b: {"c": 2, "d": 3} -> missing'
    assert new.startswith('e: missing -> {"f": [4, 4')
    assert len(new) == len("e: missing -> ") + SHOWN


def test_lists_of_different_lengths_are_one_line() -> None:
    assert find_differences({"steps": [1, 2, 3]}, {"steps": [0, 2]}) == ["steps: 3 entries -> 2 entries"]


def test_the_order_of_names_does_not_matter() -> None:
    assert find_differences({"a": 1, "b": 2}, {"b": 2, "a": 1}) == []


def test_the_exit_code_tells_whether_files_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, same, other = (tmp_path / f"{name}.json" for name in ("before", "same", "other"))
    before.write_text(json.dumps(TRACE))
    same.write_text(json.dumps(TRACE, indent=2))
    other.write_text(json.dumps(TRACE | {"environment": {"torch": "2.14.0"}}))
    assert compare_files(before, same) == 0
    assert "no difference" in capsys.readouterr().out
    assert compare_files(before, other) == 1
    assert capsys.readouterr().out.splitlines() == ['environment.torch: "2.13.0" -> "2.14.0"']
