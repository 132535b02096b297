"""Options of a centre head that need each other: accepted together, refused alone with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.config.load import load_config
from pcdet_poly.errors import UserError

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "centerpoint_pillar.yaml"


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.iou_branch=true", "decode.iou_weight=0.7", "regression.weight_iou=2"],
        ["model.iou_branch=true", "decode.preset=openpcdet_center_iou", "decode.nms_iou=[0.7,0.6,0.55]"],
        ["model.iou_branch=true"],
        ["decode.nms=class_agnostic", "decode.nms_iou=0.3"],
        ["decode.nms=circle", "decode.circle_radius_m=[4,0.85,1]"],
        ["decode.nms=none"],
        ["model.heading=bins", "model.heading_bins=8"],
        ["model.velocity=true", "regression.weight_velocity=1"],
        ["evaluation.test_time_flips=xy"],
        ["evaluation.test_time_flips=x", "grid.lower=[-10.88,-74.88,-2]"],
    ],
)
def test_what_belongs_together_is_accepted(overrides: list[str]) -> None:
    assert load_config(CONFIG, overrides) != load_config(CONFIG)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["decode.iou_weight=0.7"], r"decode\.iou_weight: needs model\.iou_branch: true"),
        (["regression.weight_iou=2"], r"regression\.weight_iou: needs model\.iou_branch: true"),
        (["regression.weight_velocity=2"], r"regression\.weight_velocity: needs model\.velocity: true"),
        (["model.iou_branch=true", "decode.iou_weight=[0.7,0.7]"], r"decode\.iou_weight: 2 numbers for 3 classes"),
        (["model.iou_branch=true", "decode.iou_weight=1.2"], r"decode\.iou_weight"),
        (["decode.nms=class_agnostic", "decode.nms_iou=[0.7,0.6,0.5]"], r"decode: .*class_agnostic.*one number"),
        (["decode.nms=circle"], r"decode: .*circle needs it"),
        (["decode.circle_radius_m=2"], r"decode: .*circle_radius_m = 2\.0"),
        (["decode.nms=circle", "decode.circle_radius_m=[4,1]"], r"decode\.circle_radius_m: 2 numbers for 3 classes"),
        (["decode.nms=none", "decode.nms_iou=0.2"], r"decode: .*none does not look at overlaps: leave nms_iou out"),
        (["decode.nms_iou=[0.7,0.6,1.5]"], r"decode\.nms_iou"),
        (["model.heading_bins=8"], r"model: heading_bins = 8: heading: sin_cos has none"),
        (["model.heading=bins", "model.heading_bins=1"], r"model\.heading_bins = 1"),
        (["regression.code_weights=[1,1]"], r"regression: code_weights: 2 numbers for 8 codes"),
        (
            ["evaluation.test_time_flips=xy", "grid.lower=[-10.88,-74.88,-2]"],
            r"test_time_flips = 'xy': the grid is not its own mirror image along x: -10\.88 to 74\.88 m",
        ),
        (
            ["evaluation.test_time_flips=x", "model.kind=pointpillars", "decode.preset=ours"],
            r"test_time_flips: the maps of pointpillars cannot be mirrored; write none",
        ),
        (["model.kind=pointpillars"], r"decode\.peaks = 'none': pointpillars has no centre head; .*decode\.preset"),
        (
            ["decode.preset=ours", "decode.iou_weight=0.5", "model.kind=pointpillars"],
            r"decode\.iou_weight: needs model\.iou_branch",
        ),
    ],
)
def test_what_nothing_would_use_is_refused(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as error:
        load_config(CONFIG, overrides)
    assert "\n" not in str(error.value)
