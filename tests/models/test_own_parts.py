"""A user's detector and loss: built through the same door as ours, mistakes in them told in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.config import plugins
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.pointpillars import WAYMO_ANCHORS
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.structures import Batch, GroundTruth

from .scenes import batch_of, random_points, tiny_config

MODULE = """
import torch
from pcdet_poly.config.kinds import DetectorKind, LossKind
from pcdet_poly.config.sections.cell_loss import CellLossConfig
from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig
from pcdet_poly.losses import heatmap_loss, sigmoid_loss
from pcdet_poly.config.sections.losses import HeatmapFocalConfig, SigmoidFocalConfig
from pcdet_poly.models.center_recipe import build_center_pillar

def two_arguments(cfg, grid): ...
def returns_text(cfg): return "recipe"
def no_progress(logits, target, cfg): return logits
def reduced(logits, target, cfg, *, progress): return (logits.sigmoid() - target).square().mean()
def one(logits, target, cfg, *, progress): return torch.ones_like(logits)

Ours = DetectorKind(CenterPointPillarConfig, build_center_pillar)
OursByName = DetectorKind(CenterPointPillarConfig, "pcdet_poly.models.center_recipe:build_center_pillar")
TwoArguments = DetectorKind(CenterPointPillarConfig, two_arguments)
ReturnsText = DetectorKind(CenterPointPillarConfig, returns_text)
Nowhere = DetectorKind(CenterPointPillarConfig, "mine:nowhere")
Number = DetectorKind(CenterPointPillarConfig, 3)
NoProgress = LossKind(CellLossConfig, no_progress)
Reduced = LossKind(CellLossConfig, reduced)
One = LossKind(CellLossConfig, one)
Same = LossKind(HeatmapFocalConfig, heatmap_loss)
OneSigmoid = LossKind(CellLossConfig, one, targets="sigmoid")
SameSigmoid = LossKind(SigmoidFocalConfig, sigmoid_loss, targets="sigmoid")
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The module `mine`, admitted."""
    (tmp_path / "mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_ADMITTED", [])
    plugins.admit_plugin("mine")
    yield
    del sys.modules["mine"]


def with_kinds(*, model: str | None = None, classification: str | None = None) -> Config:
    """The tiny config with other kinds, its settings of the model kept."""
    values = tiny_config().model_dump()
    if model:
        values["model"] |= {"kind": model}
    if classification:
        values["classification"] = {"kind": classification}
    return Config.model_validate(values)


def scene_batch() -> Batch:
    """Two frames of random points, with a car each."""
    rng = np.random.default_rng(0)
    car = GroundTruth(
        box=np.array([[2, 3, 1, 4.5, 2, 1.6, 0.3]], np.float32),
        label=np.zeros(1, np.int64),
        level=np.ones(1, np.int64),
        num_points=np.full(1, 9),
        track=np.array(["car"]),
        speed=np.zeros((1, 2), np.float32),
    )
    return batch_of([random_points(rng, 300) for _ in range(2)], [car.to("cpu")] * 2)


def losses_of(cfg: Config) -> dict[str, float]:
    """Losses of the first weights on one batch."""
    torch.manual_seed(0)
    recipe = build_recipe(cfg)
    batch = scene_batch()
    targets = recipe.assign(batch)
    maps = recipe.model.train()(batch)
    observed = recipe.observe(maps, targets, progress=0.0)
    assert "p_t/background" in observed
    return {name: loss.item() for name, loss in recipe.criterion(maps, targets).parts.items()}


@pytest.mark.parametrize("kind", ["mine:Ours", "mine:OursByName"])
def test_our_builder_under_another_name_computes_the_same(kind: str) -> None:
    assert losses_of(with_kinds(model=kind)) == losses_of(tiny_config())


def test_our_loss_under_another_name_computes_the_same() -> None:
    assert losses_of(with_kinds(classification="mine:Same")) == losses_of(with_kinds(classification="heatmap"))


def test_our_loss_of_anchors_under_another_name_computes_the_same() -> None:
    anchors = {"kind": "pointpillars", "encoder_channels": [8, 8], "anchors": WAYMO_ANCHORS[:2]}
    ours, same = (tiny_config(model=anchors, classification={"kind": kind}) for kind in ("sigmoid", "mine:SameSigmoid"))
    assert losses_of(same) == losses_of(ours)


def test_an_own_loss_is_summed_divided_and_weighed_as_ours_is() -> None:
    cfg = with_kinds(classification="mine:One")
    recipe, batch = build_recipe(cfg), scene_batch()
    targets = recipe.assign(batch)
    objects = recipe.counts(targets)["heatmap"].item()
    # Ones add up to their number, exact in float32 below 2 ** 24.
    assert objects == 2
    assert losses_of(cfg)["heatmap"] == targets.heatmap.numel() / 2


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            {"model": "mine:TwoArguments"},
            r"^model\.kind = 'mine:TwoArguments': its builder two_arguments\(cfg, grid\) does not take what it is "
            r"called with: missing a required argument: 'grid'$",
        ),
        (
            {"model": "mine:ReturnsText"},
            r"^model\.kind = 'mine:ReturnsText': its builder returned a str, where a ",
        ),
        ({"model": "mine:Nowhere"}, r"^model\.kind = 'mine:Nowhere': its builder mine has no 'nowhere'"),
        ({"model": "mine:Number"}, r"^model\.kind = 'mine:Number': its builder is 3, which cannot be called$"),
        (
            {"classification": "mine:NoProgress"},
            r"^classification\.kind = 'mine:NoProgress': its loss no_progress\(logits, target, cfg\) does not take .*"
            r"'progress'$",
        ),
        (
            {"classification": "mine:Reduced"},
            r"^classification\.kind = 'mine:Reduced': its loss returned \(\), where one number per logit is needed: \(",
        ),
    ],
)
def test_parts_that_do_not_fit_get_one_line(kinds: dict[str, str], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as error:
        losses_of(with_kinds(**kinds))
    assert "\n" not in str(error.value)
