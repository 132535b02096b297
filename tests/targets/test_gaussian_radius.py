"""Gaussian radius against published values and against the definition it comes from."""

import pytest
import torch

from pcdet_poly.targets.gaussian_radius import gaussian_radius
from tests.tolerances import FLOAT64_CANCELLED

CELL_M = 0.32
HALF_OF_LAST = 0.005  # of two digits after the point


@pytest.mark.parametrize(
    ("length_m", "width_m", "legacy", "corrected"),
    [(4.7, 2.1, 4.14, 2.76), (0.91, 0.86, 1.20, 0.94), (1.78, 0.84, 1.62, 1.10)],
)
def test_published_values(length_m, width_m, legacy, corrected):
    """They have two digits after the point, beside which float32's rounding is nothing."""
    size = torch.tensor([length_m / CELL_M]), torch.tensor([width_m / CELL_M])
    assert gaussian_radius(*size, min_overlap=0.1).item() == pytest.approx(legacy, abs=HALF_OF_LAST)
    assert gaussian_radius(*size, min_overlap=0.1, corrected=True).item() == pytest.approx(corrected, abs=HALF_OF_LAST)


def smallest_overlap(length: float, width: float, shift: float) -> float:
    """IoU with the box in the worst of the three cases, from areas alone."""
    area = length * width
    shifted = max(length - shift, 0) * max(width - shift, 0)
    smaller = max(length - 2 * shift, 0) * max(width - 2 * shift, 0)
    return min(shifted / (2 * area - shifted), smaller / area, area / ((length + 2 * shift) * (width + 2 * shift)))


@pytest.mark.parametrize("min_overlap", [0.05, 0.1, 0.5, 0.7, 0.95])
def test_corrected_radius_is_where_the_overlap_falls_to_the_minimum(min_overlap):
    sizes = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 20 + 0.1
    radius = gaussian_radius(sizes[:, 0], sizes[:, 1], min_overlap=min_overlap, corrected=True)
    overlap = [smallest_overlap(*row.tolist(), r) for row, r in zip(sizes, radius.tolist(), strict=True)]
    assert overlap == pytest.approx([min_overlap] * 200, abs=FLOAT64_CANCELLED)


def test_no_boxes():
    assert gaussian_radius(torch.zeros(0), torch.zeros(0), min_overlap=0.1).shape == (0,)
