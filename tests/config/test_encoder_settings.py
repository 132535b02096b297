"""The settings of encoders: which go together, and what the detectors make of them."""

from __future__ import annotations

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.models import build_recipe

PILLARS = {"kind": "pointpillars", "encoder_channels": [8]}


def build(**settings: object) -> Config:
    return Config.model_validate({"model": {**PILLARS, **settings}})


@pytest.mark.parametrize("encoder", ["dynamic", "dynamic_any_height"])
def test_a_limit_that_nothing_reads_is_an_error(encoder: str) -> None:
    with pytest.raises(ValueError, match=f"max_points = 32: encoder: {encoder} has no limit"):
        build(encoder=encoder, max_points=32)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (None, False, 11)),
        ({"encoder": "dynamic_any_height"}, (None, True, 11)),
        ({"encoder": "hard"}, (20, False, 11)),
        ({"encoder": "hard", "max_points": 32, "centre_offsets": "xy"}, (32, False, 10)),
    ],
)
def test_the_encoder_is_the_one_that_is_set(settings: dict, expected: tuple) -> None:
    encoder = build_recipe(build(**settings)).model.encoder
    inputs = encoder.layers[0].linear.in_features
    assert (encoder.max_points, encoder.any_height, inputs) == expected
