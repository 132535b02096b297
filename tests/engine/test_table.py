"""metrics.json as numbers and as a table."""

from __future__ import annotations

import math

import pytest

from pcdet_poly.engine.table import flat_scores, mean_level_2_aph, print_table


def metrics(**aph: float | None) -> dict:
    """Breakdowns VEHICLE_LEVEL_2=..., with ap twice aph in 3D and three times in BEV."""

    def numbers(factor: float) -> dict:
        return {
            f"OBJECT_TYPE_TYPE_{name}": {"ap": None if v is None else factor * v, "aph": v} for name, v in aph.items()
        }

    return {"3D": numbers(2), "BEV": numbers(3), "meta": {}}


def test_ranking_is_the_mean_over_the_classes_that_have_a_number() -> None:
    found = metrics(VEHICLE_LEVEL_1=0.9, VEHICLE_LEVEL_2=0.4, PEDESTRIAN_LEVEL_2=0.2, CYCLIST_LEVEL_2=None)
    assert mean_level_2_aph(found, "3D", ("VEHICLE", "PEDESTRIAN")) == pytest.approx(0.3)
    assert mean_level_2_aph(found, "3D", ("VEHICLE", "PEDESTRIAN", "CYCLIST", "SIGN")) == pytest.approx(0.3)
    assert mean_level_2_aph(found, "3D", ("CYCLIST",)) == 0.0


def test_flat_scores_have_short_names_and_finite_values() -> None:
    found = flat_scores(metrics(VEHICLE_LEVEL_1=0.25, SIGN_LEVEL_1=None, CYCLIST_LEVEL_1=math.nan))
    assert found == {
        "3D/VEHICLE_LEVEL_1/ap": 0.5,
        "3D/VEHICLE_LEVEL_1/aph": 0.25,
        "BEV/VEHICLE_LEVEL_1/ap": 0.75,
        "BEV/VEHICLE_LEVEL_1/aph": 0.25,
    }


def test_table_shows_per_cent_and_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(metrics(VEHICLE_LEVEL_1=0.1234, SIGN_LEVEL_2=None), title="a run")
    rows = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "LEVEL" in line}
    assert rows["VEHICLE_LEVEL_1"].replace("│", " ").split() == ["VEHICLE_LEVEL_1", "24.68", "12.34", "37.02", "12.34"]
    assert rows["SIGN_LEVEL_2"].replace("│", " ").split() == ["SIGN_LEVEL_2", "-", "-", "-", "-"]
