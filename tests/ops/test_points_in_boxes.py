"""Points in boxes on every backend against numpy in the box's own axes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcdet_poly.ops.arrays.points_in_boxes import count_points as count_arrays
from pcdet_poly.ops.arrays.points_in_boxes import first_box as first_box_arrays
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from tests.ops.references import random_boxes


def naive(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(P, N) bool."""
    offset = points[:, None, :3].astype(np.float64) - box[None, :, :3]
    heading = box[:, 6].astype(np.float64)
    along = offset[..., 0] * np.cos(heading) + offset[..., 1] * np.sin(heading)
    across = offset[..., 1] * np.cos(heading) - offset[..., 0] * np.sin(heading)
    axes = np.stack([along, across, offset[..., 2]], axis=-1)
    return (np.abs(axes) <= box[:, 3:6].astype(np.float64) / 2).all(-1)


def test_fuzz(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(num_trials):
        box = random_boxes(rng, int(rng.integers(0, 12)), spread_m=5.0)
        points = rng.uniform(-8, 8, (int(rng.integers(0, 80)), 4)).astype(np.float32)
        inside = naive(points, box)
        tensors = torch.from_numpy(points).to(device), torch.from_numpy(box).to(device)
        first = np.where(inside.any(1), inside.argmax(1), -1) if len(box) else np.full(len(points), -1)
        np.testing.assert_array_equal(points_in_boxes(*tensors).cpu().numpy(), first)
        np.testing.assert_array_equal(count_points(*tensors).cpu().numpy(), inside.sum(0))


@pytest.mark.parametrize("quarter_turns", range(-4, 5))
def test_faces_belong_to_the_box(device: str, quarter_turns: int) -> None:
    box = torch.tensor([[10.0, 20.0, 1.0, 4.0, 2.0, 2.0, quarter_turns * math.pi / 2]], device=device)
    half_x, half_y = (2.0, 1.0) if quarter_turns % 2 == 0 else (1.0, 2.0)
    signs = torch.tensor([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)], device=device)
    faces = box[0, :3] + signs * torch.tensor([half_x, half_y, 1.0], device=device)
    assert count_points(faces, box).tolist() == [27]
    beyond = box[0, :3] + 1.0001 * signs * torch.tensor([half_x, half_y, 1.0], device=device)
    assert count_points(beyond, box).tolist() == [1]  # the centre


def test_the_first_of_several_boxes_and_all_counts(device: str) -> None:
    box = torch.tensor([[50.0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 4, 4, 4, 0], [0, 0, 0, 2, 2, 2, 0]], device=device)
    points = torch.tensor([[0.0, 0, 0], [1.9, 0, 0], [50, 0, 0], [9, 9, 9]], device=device)
    assert points_in_boxes(points, box).tolist() == [1, 1, 0, -1]
    assert count_points(points, box).tolist() == [1, 2, 1]


def test_what_is_not_finite_or_negative(device: str) -> None:
    nan, inf = math.nan, math.inf
    box = torch.tensor([[0.0, 0, 0, 2, 2, 2, 0]] * 6, device=device)
    box[0, 0], box[1, 3], box[2, 6], box[3, 4], box[4, 2] = nan, nan, nan, -1.0, inf
    points = torch.tensor([[0.0, 0, 0], [nan, 0, 0], [0, inf, 0], [0, 0, -inf]], device=device)
    assert count_points(points, box).tolist() == [0, 0, 0, 0, 0, 1]
    assert points_in_boxes(points, box).tolist() == [5, -1, -1, -1]


def test_a_box_far_away_among_many(device: str) -> None:
    """The lookup grid of the CPU stretches; no point is lost."""
    rng = np.random.default_rng(2)
    box = random_boxes(rng, 40, spread_m=20.0)
    box[7, :2] = 3e5, -2e5
    points = rng.uniform(-20, 20, (300, 3)).astype(np.float32)
    points[0] = box[7, :3]
    inside = naive(points, box)
    tensors = torch.from_numpy(points).to(device), torch.from_numpy(box).to(device)
    np.testing.assert_array_equal(count_points(*tensors).cpu().numpy(), inside.sum(0))
    assert inside[0, 7]


def test_arrays_that_cannot_be_written() -> None:
    rng = np.random.default_rng(3)
    box, points = random_boxes(rng, 5, spread_m=3.0), rng.uniform(-4, 4, (50, 5)).astype(np.float32)
    expected = naive(points, box)
    box.flags.writeable = points.flags.writeable = False
    np.testing.assert_array_equal(count_arrays(points, box), expected.sum(0))
    np.testing.assert_array_equal(first_box_arrays(points[:, :3], box) >= 0, expected.any(1))
