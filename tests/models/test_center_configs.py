"""The Waymo configs of CenterPoint's options: they load, build, and say what their names say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.models import build_recipe

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def num_parameters(cfg: Config) -> int:
    with torch.device("meta"):
        model = build_recipe(cfg).model
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"), [("centerpoint_pillar_iou", 5_261_676), ("centerpoint_pillar_100", 5_224_043)]
)
def test_published_sizes(name: str, parameters: int) -> None:
    assert num_parameters(load_config(CONFIGS / f"{name}.yaml")) == parameters


def changes(name: str) -> dict[str, object]:
    """Settings in which a config differs from centerpoint_pillar.yaml."""
    base, own = (load_config(CONFIGS / f"{each}.yaml").model_dump() for each in ("centerpoint_pillar", name))
    return {
        f"{section}.{key}": value
        for section, values in own.items()
        for key, value in values.items()
        if value != base[section][key]
    }


def test_the_iou_config_is_the_base_with_rescoring_and_its_thresholds() -> None:
    assert changes("centerpoint_pillar_iou") == {
        "model.iou_branch": True,
        "decode.preset": "openpcdet_center_iou",
        "decode.iou_weight": (0.68, 0.71, 0.65),
        "decode.nms": "per_class",
        "decode.nms_iou": (0.7, 0.6, 0.55),
    }


def test_the_100_percent_config_is_the_base_with_every_frame() -> None:
    assert changes("centerpoint_pillar_100") == {"data.train_every": 1}


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ({"velocity": True}, 38_210),
        ({"heading": "bins"}, 22 * (64 * 9 + 1)),
        ({"heading": "bins", "heading_bins": 4, "iou_branch": True}, 6 * (64 * 9 + 1) + 37_633),
    ],
)
def test_sizes_of_the_branches(model: dict[str, object], more: int) -> None:
    """A branch is a 3 x 3 convolution 64 -> 64 with bias and norm, and one to its outputs."""
    assert num_parameters(Config.model_validate({"model": model})) == 5_224_043 + more
