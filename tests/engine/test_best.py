"""What decides which checkpoint is the best."""

from __future__ import annotations

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.best import compute_score, list_ranking_metrics
from pcdet_poly.errors import UserError


def config(best: str, **metrics: object) -> Config:
    evaluation = {"best_by": best, "metrics": metrics}
    return Config.model_validate({"data": {"classes": ["VEHICLE", "CYCLIST"]}, "evaluation": evaluation})


METRICS = {
    "3D": {
        "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1": {"ap": 0.9, "aph": 0.8},
        "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2": {"ap": 0.6, "aph": 0.5},
        "OBJECT_TYPE_TYPE_CYCLIST_LEVEL_2": {"ap": 0.4, "aph": 0.2},
        "OBJECT_TYPE_TYPE_SIGN_LEVEL_2": {"ap": 1.0, "aph": 1.0},
    },
    "BEV": {
        "OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2": {"ap": 0.6, "aph": 0.7},
        "OBJECT_TYPE_TYPE_CYCLIST_LEVEL_2": {"ap": 0.4, "aph": 0.3},
        "RANGE_TYPE_CYCLIST_[0, 30)_LEVEL_2": {"ap": 0.45, "aph": 0.35},
    },
    "meta": {"frames": 3},
}


@pytest.mark.parametrize(
    ("best", "score"),
    [
        ("3D", 0.35),  # Waymo's ranking, over the config's classes
        ("BEV", 0.5),
        ("3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_1/ap", 0.9),
        ("BEV/RANGE_TYPE_CYCLIST_[0, 30)_LEVEL_2/aph", 0.35),
    ],
)
def test_score_is_the_mean_of_what_is_named(best: str, score: float) -> None:
    assert compute_score(METRICS, config(best)) == pytest.approx(score)


@pytest.mark.parametrize(
    ("best", "metrics", "says"),
    [
        (
            "3D/OBJECT_TYPE_TYPE_VEHICEL_LEVEL_2/aph",
            {},
            r"gives no 3D/.*VEHICEL.*; did you mean 3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/aph\?",
        ),
        (
            "3d",
            {},
            r"best_by = 3d: the evaluation gives no 3d/.*; did you mean 3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/aph",
        ),
        ("BEV", {"box_types": ["3D"]}, "gives no BEV/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/aph"),
        ("3D", {"levels": [1]}, "gives no 3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/aph"),
        ("3D/OBJECT_TYPE_TYPE_SIGN_LEVEL_2/aph", {}, "gives no .*SIGN"),  # always 0: no class of the config
    ],
)
def test_what_the_evaluation_does_not_give_is_refused_with_the_nearest(best: str, metrics: dict, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        list_ranking_metrics(config(best, **metrics))
    assert "\n" not in str(error.value)


def test_estimated_cut_offs_and_let_do_not_matter_for_names() -> None:
    assert list_ranking_metrics(config("LET-3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/apl", let={}, score_cutoffs=10)) == (
        "LET-3D/OBJECT_TYPE_TYPE_VEHICLE_LEVEL_2/apl",
    )
