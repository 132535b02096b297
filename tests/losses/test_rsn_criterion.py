"""Losses of RSN against loops in float64, and the overlap loss against rotated boxes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pcdet_poly.config.sections.losses import HeatmapFocalConfig
from pcdet_poly.config.sections.rsn import RsnConfig, SegmentationConfig
from pcdet_poly.losses.gradient_shares import p_t_by_part, rsn_first_term_share
from pcdet_poly.losses.rsn_box_loss import aligned_iou_loss
from pcdet_poly.losses.rsn_criterion import RsnCriterion
from pcdet_poly.ops.iou import iou_3d_matched
from pcdet_poly.structures import RsnMaps, RsnTargets, RsnVoxelTargets, Sites
from tests.tolerances import FLOAT32_CANCELLED, FLOAT32_SUM

BINS = 4


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator)


def random_case(seed: int) -> tuple[RsnMaps, RsnTargets, RsnVoxelTargets]:
    """Two frames: 60 points, 20 and 10 voxels, 5 objects; half of the voxels have heat."""
    g = torch.Generator().manual_seed(seed)
    cell = torch.cat([torch.arange(20), 100 + torch.arange(10)])
    heat = torch.rand(30, generator=g) * (torch.rand(30, generator=g) < 0.5)
    heat[[3, 25]] = 1.0
    maps = RsnMaps(
        foreground=normal(g, 60),
        sites=Sites(cell, (1, 10, 10), 2),
        centre=normal(g, 30, 3) * 3,
        heatmap=normal(g, 30),
        offset=normal(g, 30, 3),
        size=normal(g, 30, 3) * 0.3 + 0.5,
        heading=normal(g, 30, 2 * BINS),
    )
    box = torch.cat([maps.centre + normal(g, 30, 3), torch.rand(30, 3, generator=g) * 3 + 0.5, normal(g, 30, 1) * 3], 1)
    points = torch.rand(60, generator=g)
    targets = RsnTargets(points < 0.3, points < 0.8, torch.tensor([0, 0, 0, 1, 1]), box[:5])
    return maps, targets, RsnVoxelTargets(heat, box)


def naive_focal(x: float, right: bool, cfg: SegmentationConfig) -> float:
    p = 1 / (1 + math.exp(-x))
    p_t, weight = (p, cfg.alpha) if right else (1 - p, 1 - cfg.alpha)
    return weight * ((1 - p_t) ** cfg.gamma * -math.log(p_t) + cfg.epsilon * (1 - p_t) ** (cfg.gamma + 1))


def naive_heat(x: float, y: float, cfg: HeatmapFocalConfig) -> float:
    p = 1 / (1 + math.exp(-x))
    if y == 1:
        return (1 - p) ** cfg.alpha * (-math.log(p) + cfg.epsilon * (1 - p))
    return (1 - y) ** cfg.beta * p**cfg.alpha * (-math.log(1 - p) + cfg.epsilon * p)


def smooth(d: float, beta: float) -> float:
    return d * d / (2 * beta) if abs(d) < beta else abs(d) - beta / 2


def naive_heading(channels: list[float], heading: float, beta: float) -> float:
    logits, residuals = channels[:BINS], channels[BINS:]
    width = 2 * math.pi / BINS
    nearest = min(range(BINS), key=lambda k: abs(math.remainder(heading - k * width, 2 * math.pi)))
    residual = math.remainder(heading - nearest * width, 2 * math.pi) / width
    entropy = math.log(sum(math.exp(x) for x in logits)) - logits[nearest]
    return entropy + smooth(residuals[nearest] - residual, beta)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("eps_points", "eps_heat", "sizes"),
    [(0.0, 0.0, "log"), (-0.4, 0.0, "metres"), (0.0, 1.0, "log"), (2.0, -1.0, "metres")],
)
def test_losses_equal_loops(seed: int, eps_points: float, eps_heat: float, sizes: str) -> None:
    maps, targets, at_voxels = random_case(seed)
    segmentation = SegmentationConfig(epsilon=eps_points)
    model = RsnConfig(segmentation=segmentation, heading_bins=BINS, box_weight=1.5, sizes=sizes)
    heat = HeatmapFocalConfig(epsilon=eps_heat, weight=4.0)
    losses = RsnCriterion(heat, model)(maps, targets, at_voxels).parts
    counted = targets.counted.nonzero()[:, 0].tolist()
    points = [naive_focal(float(maps.foreground[i]), bool(targets.foreground[i]), model.segmentation) for i in counted]
    assert float(losses["segmentation"]) == pytest.approx(400 * np.mean(points), rel=FLOAT32_SUM)
    cells = [naive_heat(float(x), float(y), heat) for x, y in zip(maps.heatmap, at_voxels.heatmap, strict=True)]
    assert float(losses["heatmap"]) == pytest.approx(4 * sum(cells) / 5, rel=FLOAT32_SUM)
    per_frame: list[list[tuple[float, float]]] = [[], []]
    for v in (at_voxels.heatmap > 0.2).nonzero()[:, 0].tolist():
        box = at_voxels.box[v].tolist()
        code = [
            *(at_voxels.box[v, :3] - maps.centre[v]).tolist(),
            *(math.log(x) if sizes == "log" else x for x in box[3:6]),
        ]
        given = [*maps.offset[v].tolist(), *maps.size[v].tolist()]
        distance = sum(smooth(a - b, 1 / 9) for a, b in zip(given, code, strict=True))
        per_frame[v >= 20].append((naive_heading(maps.heading[v].tolist(), box[6], 1 / 9), distance))
    heading, distance = np.mean([np.mean(rows, axis=0) for rows in per_frame], axis=0)
    assert float(losses["heading"]) == pytest.approx(1.5 * heading, rel=FLOAT32_CANCELLED)
    assert float(losses["box"]) == pytest.approx(1.5 * distance, rel=FLOAT32_CANCELLED)
    assert 0 < float(losses["iou"]) <= 1.5 * (1 + 1e-6)  # float32 weights that add up to 1


def test_right_boxes_cost_nothing_in_either_code() -> None:
    """Also that both read the sizes that they were given: the loss of overlap is 0 for right boxes alone."""
    maps, targets, at_voxels = random_case(0)
    size = at_voxels.box[:, 3:6]
    for sizes, values in {"log": size.log(), "metres": size}.items():
        right = replace(maps, offset=at_voxels.box[:, :3] - maps.centre, size=values)
        model = RsnConfig(heading_bins=BINS, sizes=sizes)
        losses = RsnCriterion(HeatmapFocalConfig(), model)(right, targets, at_voxels).parts
        assert float(losses["box"]) == 0
        assert float(losses["iou"]) < 1e-5  # float32: sums and products of three lengths


def test_nothing_to_learn_is_no_loss_and_no_nan() -> None:
    maps, targets, at_voxels = random_case(0)
    empty = RsnMaps(
        *(getattr(maps, name)[:0] for name in ("foreground",)),
        Sites(maps.sites.cell[:0], maps.sites.shape, 2),
        *(getattr(maps, name)[:0] for name in ("centre", "heatmap", "offset", "size", "heading")),
    )
    none = targets.foreground[:0]
    nothing = RsnTargets(none, none, targets.frame[:0], targets.box[:0])
    criterion = RsnCriterion(HeatmapFocalConfig(), RsnConfig(heading_bins=BINS))
    losses = criterion(empty, nothing, RsnVoxelTargets(at_voxels.heatmap[:0], at_voxels.box[:0]))
    assert [float(loss) for loss in losses.parts.values()] == [0.0] * 5


def random_boxes(seed: int, count: int = 200) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    size = torch.rand(count, 3, generator=g) * 3 + 0.5
    return torch.cat([normal(g, count, 3), size, normal(g, count, 1) * 3], dim=1)


def test_overlap_is_that_of_boxes_with_one_heading() -> None:
    target, prediction = random_boxes(0), random_boxes(1)
    turned = torch.cat([prediction[:, :6], target[:, 6:]], dim=1)
    loss = aligned_iou_loss(prediction[:, :3], prediction[:, 3:6], target[:, :3], target)
    torch.testing.assert_close(1 - loss, iou_3d_matched(turned, target), atol=FLOAT32_SUM, rtol=FLOAT32_CANCELLED)
    assert (loss < 1).sum() > 50


def test_overlap_has_gradients() -> None:
    target = random_boxes(2, 20).double()
    g = torch.Generator().manual_seed(3)
    offset = (0.1 * normal(g, 20, 3)).double().requires_grad_()
    size = (target[:, 3:6] * (1 + 0.1 * normal(g, 20, 3).double())).detach().requires_grad_()
    zero = torch.zeros(20, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda o, s: aligned_iou_loss(o, s, zero, target), (offset, size))


def test_both_losses_are_observed() -> None:
    maps, targets, at_voxels = random_case(4)
    seen = rsn_first_term_share(maps, targets, at_voxels, HeatmapFocalConfig(), SegmentationConfig())
    p = maps.foreground.sigmoid()
    positive = targets.foreground & targets.counted
    background = ~targets.foreground & targets.counted
    assert seen["segmentation/p_t/positives"] == pytest.approx(float(p[positive].mean()), rel=FLOAT32_SUM)
    assert seen["segmentation/p_t/background"] == pytest.approx(float((1 - p)[background].mean()), rel=FLOAT32_SUM)
    parts = p_t_by_part(maps, targets)
    assert parts["peaks"].equal(p[positive])
    assert parts["background"].equal(1 - p[background])
    peak = at_voxels.heatmap == 1
    assert seen["p_t/peaks"] == pytest.approx(float(maps.heatmap[peak].sigmoid().mean()), rel=FLOAT32_SUM)
    assert 0 < seen["first_term_share/all"] < 1
