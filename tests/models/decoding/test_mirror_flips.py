"""Test-time flips: maps of mirrored frames, turned back, say the same of the same objects."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.evaluation import EvaluationConfig
from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.engine.evaluate import detect
from pcdet_poly.models import build_recipe
from pcdet_poly.models.decoding.mirror_flips import VIEWS, Flips, average_over_flips, average_probability
from pcdet_poly.ops.center_box_coder import decode_center_boxes
from pcdet_poly.ops.heading_bins import decode_heading, encode_heading_bin
from pcdet_poly.structures import Batch, CenterMaps, Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner
from tests.models.scenes import batch_of, random_points, tiny_config
from tests.tolerances import FLOAT32_ROUNDING, FLOAT32_SUM, FLOAT32_VALUE, NETWORK

GRID = Grid((-8.0, -6.0, -2.0), (8.0, 6.0, 4.0), (0.5, 0.75, 6.0))  # 32 x 16 cells


class Seer(nn.Module):
    """Reads objects off the points, which are their centres (even rows) and a point ahead of each (odd rows).

    Its maps are right at the objects' cells and 0 elsewhere; an object's velocity is towards the point ahead.
    """

    def __init__(self, num_bins: int = 0) -> None:
        super().__init__()
        self.num_bins = num_bins

    def forward(self, batch: Batch) -> CenterMaps:
        centre, ahead = batch.points[::2, :3], batch.points[1::2, :3]
        towards = (ahead - centre)[:, :2]
        heading_rad = torch.atan2(towards[:, 1], towards[:, 0])
        size = torch.tensor([4.0, 2.0, 1.5]).expand(len(centre), 3)
        box = torch.cat([centre, size, heading_rad[:, None]], dim=1)
        one = torch.ones(len(box), dtype=torch.int64)
        truth = GroundTruth(box, one - 1, one, one, np.full(len(box), "t"), towards)
        targets = CenterAssigner(GRID, 1, TargetsConfig())([truth], vehicle_from_world=torch.eye(3)[None])
        code = torch.cat([targets.code[:, :6], self.heading(targets.code[:, 6:])], dim=1)
        maps = torch.zeros(1, code.shape[1] + 3, 16 * 32)
        iou = torch.full((len(box), 1), 0.6)
        maps[0, :, targets.cell] = torch.cat([code, iou, targets.velocity], dim=1).T
        offset, z, size, heading, iou, velocity = maps.view(1, -1, 16, 32).split(
            [2, 1, 3, code.shape[1] - 6, 1, 2], dim=1
        )
        return CenterMaps(targets.heatmap.logit(eps=1e-3), offset, z, size, heading, iou, velocity)

    def heading(self, sin_cos: torch.Tensor) -> torch.Tensor:
        if not self.num_bins:
            return sin_cos
        sector, residual = encode_heading_bin(torch.atan2(sin_cos[:, 0], sin_cos[:, 1]), self.num_bins)
        sector = nn.functional.one_hot(sector, self.num_bins)
        return torch.cat([5.0 * sector, sector * residual[:, None]], dim=1)


def objects(seed: int) -> Batch:
    """Eight objects well apart, as the points that Seer reads."""
    rng = np.random.default_rng(seed)
    column, row = np.meshgrid([-6, -2, 2, 6], [-3, 3])
    centre = np.stack([column.ravel(), row.ravel(), np.zeros(8)], axis=1) + rng.uniform(-0.9, 0.9, (8, 3))
    angle = rng.uniform(-math.pi, math.pi, 8)
    ahead = centre + np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1) * rng.uniform(0.5, 3, (8, 1))
    points = np.zeros((16, 5), np.float32)
    points[::2, :3], points[1::2, :3] = centre, ahead
    return batch_of([points])


def test_the_config_offers_what_there_is() -> None:
    assert get_args(EvaluationConfig.model_fields["test_time_flips"].annotation) == get_args(Flips) == tuple(VIEWS)


@pytest.mark.parametrize("num_bins", [0, 5, 12])
@pytest.mark.parametrize("flips", ["none", "x", "y", "xy"])
def test_a_network_that_is_right_stays_right(flips: Flips, num_bins: int) -> None:
    """Every object is right in every look, so its codes are right in the average, signs and all."""
    batch, seer = objects(0), Seer(num_bins)
    once, averaged = seer(batch), average_over_flips(seer, batch, flips)
    at = (once.heatmap > once.heatmap.max() - 1e-6).expand(1, 2, -1, -1)[:, :1]
    assert at.sum() == 8
    torch.testing.assert_close(averaged.heatmap, once.heatmap, **NETWORK)
    once = replace(once, heading=directions(once.heading))
    for name in ("offset", "z", "size", "heading", "iou", "velocity"):
        right, found = (getattr(maps, name).movedim(1, -1)[at[:, 0]] for maps in (once, averaged))
        torch.testing.assert_close(found, right, **NETWORK)


def directions(heading: torch.Tensor) -> torch.Tensor:
    heading_rad = decode_heading(heading.movedim(1, -1))
    return torch.stack([heading_rad.sin(), heading_rad.cos()], dim=1)


def every_box(maps: CenterMaps, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Box (H, W, 6) without its heading, and score (H, W, K), of each cell."""
    cell = torch.arange(grid.shape[0] * grid.shape[1]).view(grid.shape[1], grid.shape[0])
    box = decode_center_boxes(maps.box_code()[0].movedim(0, -1), cell, grid)
    return box[..., :6].double().numpy(), maps.heatmap[0].sigmoid().movedim(0, -1).numpy()


@pytest.mark.parametrize("model", [{}, {"heading": "bins", "iou_branch": True, "velocity": True}])
@pytest.mark.parametrize(("factors", "axes"), [((1, -1), 0), ((-1, 1), 1), ((-1, -1), (0, 1))])
def test_a_mirrored_frame_gives_mirrored_boxes(
    model: dict[str, object], factors: tuple[int, int], axes: int | tuple[int, int]
) -> None:
    """Whatever the weights: averaged over all flips, a network knows no left or right, no front or back."""
    cfg = tiny_config()
    cfg = Config.model_validate(cfg.model_dump() | {"model": cfg.model.model_dump() | model})
    grid = Grid(cfg.grid.lower, cfg.grid.upper, cfg.grid.cell)
    torch.manual_seed(0)
    network = build_recipe(cfg).model.eval()
    points = random_points(np.random.default_rng(0), 400)
    with torch.no_grad():
        seen, mirrored = (
            average_over_flips(network, batch_of([p]), "xy")
            for p in (points, points * np.array([*factors, 1, 1, 1], np.float32))
        )
    (box, score), (other, other_score) = every_box(seen, grid), every_box(mirrored, grid)
    other, other_score = np.flip(other, axes), np.flip(other_score, axes)
    np.testing.assert_allclose(other_score, score, **NETWORK)
    np.testing.assert_allclose(other * [*factors, 1, 1, 1, 1], box, **NETWORK)
    sin_cos, other_sin_cos = (maps.heading[0].movedim(0, -1).numpy() for maps in (seen, mirrored))
    np.testing.assert_allclose(np.flip(other_sin_cos, axes) * factors[::-1], sin_cos, **NETWORK)
    if seen.velocity is not None:
        found, wanted = (maps.velocity[0].movedim(0, -1).numpy() for maps in (mirrored, seen))
        np.testing.assert_allclose(np.flip(found, axes) * factors, wanted, **NETWORK)
        np.testing.assert_allclose(np.flip(mirrored.iou[0, 0].numpy(), axes), seen.iou[0, 0], **NETWORK)


def test_detect_averages_where_it_is_told_to() -> None:
    torch.manual_seed(0)
    recipe = build_recipe(tiny_config())
    batch = batch_of([random_points(np.random.default_rng(2), 300)])
    plain, flipped = (
        detect(recipe, batch, torch.device("cpu"), mixed_precision=False, flips=flips)[0] for flips in ("none", "xy")
    )
    with torch.no_grad():
        (wanted,) = recipe.decode(average_over_flips(recipe.model, batch, "xy"))
    np.testing.assert_array_equal(flipped.box, wanted.box)
    assert plain.box.shape != flipped.box.shape or not np.allclose(plain.box, flipped.box)


def test_one_look_changes_nothing() -> None:
    torch.manual_seed(0)
    model = build_recipe(tiny_config()).model.eval()
    batch = batch_of([random_points(np.random.default_rng(1), 300)])
    with torch.no_grad():
        plain, looked = model(batch), average_over_flips(model, batch, "none")
    for field in fields(plain):
        if getattr(plain, field.name) is not None:
            found, wanted = getattr(looked, field.name), getattr(plain, field.name)  # by way of a probability
            torch.testing.assert_close(found, wanted, atol=FLOAT32_SUM, rtol=FLOAT32_SUM)


def test_probabilities_are_averaged_and_stay_exact_far_out() -> None:
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    wanted = logits.sigmoid().mean(dim=0).logit()
    torch.testing.assert_close(average_probability(logits), wanted)
    far = torch.tensor([[-200.0, 200.0, -200.0], [-200.0, 200.0, 200.0]])
    # The last is a difference of logarithms below 256, which take four roundings.
    wanted = torch.tensor([-200.0, 200.0, 0.0])
    torch.testing.assert_close(average_probability(far), wanted, atol=4 * 256 * FLOAT32_ROUNDING, rtol=FLOAT32_VALUE)


def test_the_batch_is_left_alone() -> None:
    batch = objects(1)
    before = batch.points.clone()
    average_over_flips(Seer(), batch, "xy")
    assert torch.equal(batch.points, before)
