"""Rotated IoU on every backend against exact cases, shapely and the official routine's values."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.iou import iou_3d, iou_3d_matched, iou_bev, iou_bev_matched
from tests.ops.references import random_boxes, shapely_iou
from tests.tolerances import FLOAT32_ROUNDING, FLOAT32_VALUE, FLOAT64_CANCELLED

Box = tuple[float, float, float, float, float, float, float]
HALF_PI = math.pi / 2


def exact_iou(a: Box, b: Box, quarter_turns: tuple[int, int]) -> tuple[np.float32, np.float32]:
    """Bird's-eye and 3D IoU of boxes at multiples of pi / 2, in fractions, rounded to float32 once."""

    def sides(box: Box, turns: int) -> list[tuple[Fraction, Fraction]]:
        x, y, z, length, width, height = (Fraction(float(np.float32(value))) for value in box[:6])
        length, width = (width, length) if turns % 2 else (length, width)
        return [(c - s / 2, c + s / 2) for c, s in ((x, length), (y, width), (z, height))]

    sides_a, sides_b = sides(a, quarter_turns[0]), sides(b, quarter_turns[1])
    shared, size_a, size_b, ious = Fraction(1), Fraction(1), Fraction(1), []
    for axis, ((low_a, high_a), (low_b, high_b)) in enumerate(zip(sides_a, sides_b, strict=True)):
        shared *= max(min(high_a, high_b) - max(low_a, low_b), Fraction(0))
        size_a, size_b = size_a * (high_a - low_a), size_b * (high_b - low_b)
        if axis:
            union = size_a + size_b - shared
            ious.append(np.float32(float(shared / union)) if union else np.float32(0))
    return ious[0], ious[1]


def row(*boxes: Box) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32)


def test_fuzz_boxes_along_the_axes_are_exact(device: str, num_trials: int) -> None:
    """To the last bit of float32: grid positions (touching, identical, nested, empty) and any others."""
    rng = np.random.default_rng(1)
    a, b, expected = [], [], []
    for trial in range(num_trials):
        pair, turns = [], []
        for _ in range(2):
            numbers = rng.integers(0, 4, 6) / 2 if trial % 2 else rng.uniform(0, 3, 6)
            turns.append(int(rng.integers(-4, 5)))
            pair.append((*numbers.tolist(), turns[-1] * HALF_PI))
        a.append(pair[0])
        b.append(pair[1])
        expected.append(exact_iou(*pair, (turns[0], turns[1])))
    a, b = row(*a).to(device), row(*b).to(device)
    np.testing.assert_array_equal(iou_bev_matched(a, b).cpu().numpy(), [bev for bev, _ in expected])
    np.testing.assert_array_equal(iou_3d_matched(a, b).cpu().numpy(), [full for _, full in expected])


def test_fuzz_any_heading_equals_shapely(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(2)
    a, b = random_boxes(rng, num_trials, spread_m=4.0), random_boxes(rng, num_trials, spread_m=4.0)
    bev = iou_bev_matched(torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)).cpu().numpy()
    expected = [shapely_iou(*pair) for pair in zip(a, b, strict=True)]
    # The sum is one of float64, and rounded to float32 once.
    np.testing.assert_allclose(bev, expected, rtol=2 * FLOAT32_ROUNDING, atol=FLOAT64_CANCELLED)


def test_official_values(device: str, oracle: Path) -> None:
    """Within one float32 rounding of the official routine, but where that is known to be wrong."""
    pairs = np.load(oracle / "ops" / "iou_pairs.npz")
    valid = ~np.isnan(pairs["iou_2d"]) & (pairs["kind"] != "degenerate_dims")
    a, b = pairs["a_bottomz"][valid].copy(), pairs["b_bottomz"][valid].copy()
    a[:, 2] += a[:, 5] / 2
    b[:, 2] += b[:, 5] / 2
    boxes = torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)
    bev, full = iou_bev_matched(*boxes).cpu().numpy(), iou_3d_matched(*boxes).cpu().numpy()
    # Nested boxes that share edges: the official polygon routine takes the longer box for the shorter and says 1.
    nested = pairs["kind"][valid] == "nested_shared_edges"
    defect = nested & (b[:, 3] < a[:, 3]) & (pairs["iou_2d"][valid] == 1)
    assert defect.sum() == 4
    np.testing.assert_allclose(bev[defect], (b[:, 3] / a[:, 3])[defect], rtol=FLOAT32_VALUE)
    assert len(bev) > 2000
    np.testing.assert_allclose(bev[~defect], pairs["iou_2d"][valid][~defect], rtol=0, atol=2 * FLOAT32_ROUNDING)
    # The centre's z, rounded to float32 from the oracle's bottom, moves a 3D IoU by up to 2e-7.
    np.testing.assert_allclose(full[~defect], pairs["iou_3d"][valid][~defect], rtol=0, atol=3e-7)


def test_pairwise_is_matched_for_every_pair(device: str) -> None:
    rng = np.random.default_rng(3)
    a = torch.from_numpy(random_boxes(rng, 5, spread_m=3.0)).to(device)
    b = torch.from_numpy(random_boxes(rng, 7, spread_m=3.0)).to(device)
    every_a, every_b = a.repeat_interleave(7, 0), b.repeat(5, 1)
    assert torch.equal(iou_bev(a, b), iou_bev_matched(every_a, every_b).view(5, 7))
    assert torch.equal(iou_3d(a, b), iou_3d_matched(every_a, every_b).view(5, 7))
    assert (iou_bev(a, b) > 0).any()


@pytest.mark.parametrize("heading", [0.0, 0.3, -2.9, 1e-7, 40.0])
def test_identical_boxes(device: str, heading: float) -> None:
    box = row((70.1, -33.3, 1.0, 4.7, 2.1, 1.7, heading)).to(device)
    turned = row((70.1, -33.3, 1.0, 4.7, 2.1, 1.7, heading + math.pi)).to(device)
    assert iou_bev(box, box).item() == iou_3d(box, box).item() == 1.0
    assert iou_bev(box, turned).item() == pytest.approx(1.0, abs=3e-6)  # heading + pi is rounded to float32


def test_touching_boxes_do_not_overlap(device: str) -> None:
    """End to end along any heading, by a rounding error more or less."""
    for heading in np.linspace(-3, 3, 7 if device == "cpu" else 100):
        ahead = row((4 * math.cos(heading), 4 * math.sin(heading), 0.0, 4.0, 2.0, 1.5, heading)).to(device)
        here = row((0.0, 0.0, 0.0, 4.0, 2.0, 1.5, heading)).to(device)
        # Centre and headings are off by a rounding below 4, and the length of 4 m by as much.
        assert iou_bev(here, ahead).item() < 4 * FLOAT32_ROUNDING
    corner = row((2.0, 1.0, 0.0, 2.0, 1.0, 1.0, 0.0)).to(device)
    assert iou_bev(corner, row((0.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.0)).to(device)).item() == 0.0
    above = row((0.0, 0.0, 1.5, 4.0, 2.0, 1.5, 0.3)).to(device)
    assert iou_3d(above, row((0.0, 0.0, 0.0, 4.0, 2.0, 1.5, 0.3)).to(device)).item() == 0.0


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_boxes_that_are_not_finite_overlap_nothing(device: str, column: int, value: float) -> None:
    box = row((0.0, 0.0, 0.0, 4.0, 2.0, 1.5, 0.3)).to(device)
    broken = box.clone()
    broken[0, column] = value
    for a, b in ((box, broken), (broken, box), (broken, broken)):
        assert iou_3d(a, b).item() == 0.0
        if column not in (2, 5):
            assert iou_bev(a, b).item() == 0.0


@pytest.mark.parametrize("size", [0.0, -1.0])
def test_empty_boxes_overlap_nothing(device: str, size: float) -> None:
    for column in (3, 4, 5):
        box = row((0.0, 0.0, 0.0, 4.0, 2.0, 1.5, 0.3)).to(device)
        box[0, column] = size
        assert iou_3d(box, box).item() == 0.0
        assert iou_bev(box, box).item() == (1.0 if column == 5 else 0.0)


def test_thin_and_large_boxes(device: str) -> None:
    thin = row((50.0, 50.0, 0.0, 20.0, 1e-6, 1.0, 0.7)).to(device)
    large = row((50.0, 50.0, 0.0, 1e6, 1e6, 1.0, 0.2)).to(device)
    assert iou_bev(thin, thin).item() == 1.0
    # The large one's corners are in float64 1e-10 m apart, a ten-thousandth of the thin one's width.
    assert iou_bev(thin, large).item() == pytest.approx(2e-17, rel=1e-4)


def test_no_boxes(device: str) -> None:
    none, one = torch.zeros(0, 7, device=device), torch.ones(1, 7, device=device)
    assert iou_bev(none, one).shape == (0, 1)
    assert iou_3d(one, none).shape == (1, 0)
    assert iou_3d_matched(none, none).shape == (0,)


def test_matched_needs_as_many_of_each() -> None:
    with pytest.raises(ValueError, match="as many of each"):
        iou_bev_matched(torch.zeros(2, 7), torch.zeros(1, 7))
