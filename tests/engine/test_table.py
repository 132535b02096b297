"""metrics.json as numbers and as a table."""

from __future__ import annotations

import pytest

from pcdet_poly.engine.table import flatten_scores, print_table


def metrics(**aph: float) -> dict:
    """Breakdowns VEHICLE_LEVEL_2=..., with ap twice aph in 3D and three times in BEV."""

    def numbers(factor: float) -> dict:
        return {f"OBJECT_TYPE_TYPE_{name}": {"ap": factor * value, "aph": value} for name, value in aph.items()}

    return {"3D": numbers(2), "BEV": numbers(3), "meta": {"frames": 3}}


def test_flat_scores_have_short_names_and_the_configs_classes() -> None:
    assert flatten_scores(metrics(VEHICLE_LEVEL_1=0.25, SIGN_LEVEL_1=0.0), ("VEHICLE",)) == {
        "3D/VEHICLE_LEVEL_1/ap": 0.5,
        "3D/VEHICLE_LEVEL_1/aph": 0.25,
        "BEV/VEHICLE_LEVEL_1/ap": 0.75,
        "BEV/VEHICLE_LEVEL_1/aph": 0.25,
    }


def test_table_shows_the_configs_classes_in_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    found = metrics(VEHICLE_LEVEL_1=0.1234, VEHICLE_LEVEL_2=0.1, SIGN_LEVEL_1=0.0, SIGN_LEVEL_2=0.0)
    for box in ("3D", "BEV"):
        for level in (1, 2):
            found[box][f"RANGE_TYPE_VEHICLE_[0, 30)_LEVEL_{level}"] = {"ap": 0.5, "aph": 0.25}
    print_table(found, ("VEHICLE",), title="a run")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "a run"
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines if "/" in line] == [
        ["AP/APH", "3D", "L1", "3D", "L2", "BEV", "L1", "BEV", "L2"],
        ["VEHICLE", "24.68/12.34", "20.00/10.00", "37.02/12.34", "30.00/10.00"],
        ["VEHICLE", "[0,", "30)", *["50.00/25.00"] * 4],
    ]
