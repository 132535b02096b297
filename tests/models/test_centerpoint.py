"""The whole network: sizes, frames apart from each other, memory layouts, and that it learns."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from pcdet_poly.config.schema import Config
from pcdet_poly.models import build_recipe
from pcdet_poly.structures import CenterMaps, GroundTruth
from tests.tolerances import BFLOAT16_NETWORK, NETWORK

from .scenes import batch_of, random_points, tiny_config

MAPS = ("heatmap", "offset", "z", "size", "heading")


def build(cfg: Config):
    torch.manual_seed(0)
    return build_recipe(cfg)


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def assert_same(a: CenterMaps, b: CenterMaps, *, frame: int | slice = slice(None)) -> None:
    for name in MAPS:
        torch.testing.assert_close(getattr(a, name)[frame], getattr(b, name), **NETWORK)


def test_published_parameter_counts():
    model = build(Config()).model
    parts = {name: count(part) for name, part in model.named_children()}
    assert parts == {"encoder": 4_640, "backbone": 4_806_400, "head": 413_003}
    assert count(model) == 5_224_043


def test_published_parameter_count_with_iou_branch():
    assert count(build(Config.model_validate({"model": {"iou_branch": True}})).model) == 5_261_676


def test_same_seed_same_weights():
    first, second = build(tiny_config()).model.state_dict(), build(tiny_config()).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("counts", [(300, 0, 200), (0, 250), (250, 0), (0, 0), (1, 0)])
def test_frames_do_not_see_each_other(counts):
    """A batch equals its frames one by one, frames without points at any place included."""
    rng = np.random.default_rng(0)
    frames = [random_points(rng, n) for n in counts]
    model = build(tiny_config()).model.eval()
    with torch.no_grad():
        together = model(batch_of(frames))
        assert together.heatmap.shape == (len(counts), 2, 32, 40)
        for position, points in enumerate(frames):
            assert_same(together, model(batch_of([points])), frame=slice(position, position + 1))


@pytest.mark.parametrize("counts", [(300, 0, 200), (0, 0), (1, 0)])
def test_every_parameter_gets_a_finite_gradient(counts):
    rng = np.random.default_rng(0)
    recipe = build(tiny_config())
    maps = recipe.model(batch_of([random_points(rng, n) for n in counts]))
    sum(getattr(maps, name).square().mean() for name in MAPS).backward()
    for name, parameter in recipe.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if sum(counts) > 1 and not name.endswith("0.bias"):  # a bias before a norm has no effect
            assert parameter.grad.abs().sum() > 0, name


def test_channels_last_equals_contiguous():
    batch = batch_of([random_points(np.random.default_rng(0), 400)])
    with torch.no_grad():
        last, contiguous = (
            build(tiny_config(train={"channels_last": flag})).model.eval()(batch) for flag in (True, False)
        )
    assert_same(last, contiguous)


def test_bfloat16_autocast_stays_near_float32():
    batch = batch_of([random_points(np.random.default_rng(0), 400)])
    model = build(tiny_config()).model.eval()
    with torch.no_grad():
        full = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(batch)
    assert half.heatmap.dtype == torch.bfloat16
    torch.testing.assert_close(
        half.heatmap.float(), full.heatmap, rtol=0.1, atol=5 * BFLOAT16_NETWORK["atol"]
    )  # logits of about -5


def velocity_of(box: np.ndarray) -> np.ndarray:
    """Along the heading, the faster the longer the box is."""
    return box[3] * np.array([np.cos(box[6]), np.sin(box[6])])


def boxes_with_points(rng: np.random.Generator, box: np.ndarray, label: list[int]):
    """Points on a grid inside each box and some on the ground, and the boxes as ground truth."""
    points = [random_points(rng, 200) * np.array([1, 1, 0.05, 1, 1], np.float32)]
    for x, y, z, length, width, height, heading in box:
        unit = rng.uniform(-0.5, 0.5, (80, 3)) * [length, width, height]
        cos, sin = np.cos(heading), np.sin(heading)
        turned = unit @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + [x, y, z]
        points.append(np.concatenate([turned, rng.uniform(0, 1, (80, 2))], 1))
    one = np.ones(len(box), np.int64)
    speed = np.stack([velocity_of(row) for row in box]).astype(np.float32)
    truth = GroundTruth(box.astype(np.float32), np.array(label), one, one, np.full(len(box), "t"), speed).to("cpu")
    return np.concatenate(points).astype(np.float32), truth


OPTIONS = {"heading": "bins", "heading_bins": 8, "iou_branch": True, "velocity": True}


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "options"])
def test_overfits_a_batch(options):
    """Two frames of a few objects: after 160 steps exactly these are found, to 0.2 m and 0.1 rad.

    With the options, also their velocities to 0.3 m/s, and their scores, most of which is the IoU, are high.
    """
    rng = np.random.default_rng(0)
    first = np.array(
        [[-5, -3, 0, 4.2, 1.9, 1.6, 0.4], [4, 3, 0, 4.6, 2.0, 1.7, -2.5], [3, -5, 0.2, 0.9, 0.8, 1.7, 1.0]]
    )
    second = np.array([[0, 0, 0, 4.0, 1.8, 1.5, 2.0], [-6, 5, 0.1, 0.8, 0.8, 1.8, -1.0]])
    frames = [boxes_with_points(rng, first, [0, 0, 1]), boxes_with_points(rng, second, [0, 1])]
    batch = batch_of([points for points, _ in frames], [truth for _, truth in frames])
    batch = replace(batch, vehicle_from_world=torch.eye(3).expand(2, 3, 3))
    model = tiny_config().model.model_dump() | options
    decode = {"score": 0.3, "nms_iou": 0.2, "iou_weight": 0.7 if options else None}
    recipe = build(tiny_config(model=model, decode=decode))
    optimizer = torch.optim.Adam(recipe.model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=160)
    totals = []
    for _ in range(160):
        losses = recipe.criterion(recipe.model(batch), recipe.assign(batch))
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        schedule.step()
        totals.append(losses.total.item())
    assert all(late < early for early, late in pairwise(np.array(totals).reshape(4, 40).mean(1)))
    for found, (_, truth) in zip(recipe.decode(recipe.model(batch)), frames, strict=True):
        found = found.numpy()
        assert sorted(found.label.tolist()) == sorted(truth.label.tolist())
        for box, label in zip(truth.box.numpy(), truth.label.numpy(), strict=True):
            error = np.abs(found.box[found.label == label] - box)
            error[:, 6] = np.abs((error[:, 6] + np.pi) % (2 * np.pi) - np.pi)
            nearest = error[error[:, :2].sum(1).argmin()]
            assert nearest[:6].max() < 0.2
            assert nearest[6] < 0.1
            if options:
                velocity = found.velocity[found.label == label][error[:, :2].sum(1).argmin()]
                np.testing.assert_allclose(velocity, velocity_of(box), atol=0.3)
                assert found.score.min() > 0.6
