"""Sectors of heading: against the nearest of all sectors' centres, and there and back."""

import math

import pytest
import torch

from pcdet_poly.ops.heading_bins import decode_heading, decode_heading_bin, decode_likeliest_heading, encode_heading_bin
from tests.tolerances import FLOAT32_BELOW_16, FLOAT64_CANCELLED

EDGES = [0.0, math.pi, -math.pi, math.pi / 2, -math.pi / 2, 3 * math.pi, -7.5, 1e-7, -1e-7]


def headings() -> torch.Tensor:
    random = torch.rand(300, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 20 - 10
    return torch.cat([torch.tensor(EDGES, dtype=torch.float64), random])


def gap(a: float, b: float) -> float:
    """Distance on the circle."""
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


@pytest.mark.parametrize("num_bins", [2, 3, 8, 12])
def test_the_sector_is_the_one_whose_centre_is_nearest(num_bins):
    sector, residual = encode_heading_bin(headings(), num_bins)
    width = 2 * math.pi / num_bins
    for heading, found, rest in zip(headings().tolist(), sector.tolist(), residual.tolist(), strict=True):
        nearest = min(gap(heading, k * width) for k in range(num_bins))
        assert 0 <= found < num_bins
        assert gap(heading, found * width) == pytest.approx(nearest, abs=FLOAT64_CANCELLED)
        assert gap(heading, (found + rest) * width) < FLOAT64_CANCELLED
        assert abs(rest) <= 0.5 + 1e-12


@pytest.mark.parametrize("num_bins", [2, 3, 8, 12])
def test_there_and_back(num_bins):
    back = decode_heading_bin(*encode_heading_bin(headings(), num_bins), num_bins)
    assert back.abs().max() <= math.pi + 1e-12
    assert max(map(gap, back.tolist(), headings().tolist())) < FLOAT64_CANCELLED


def test_the_likeliest_sectors_residual_counts():
    channels = torch.zeros(2, 3, 8)  # 4 bins
    channels[0, 1, 2], channels[0, 1, 4 + 2], channels[0, 1, 4 + 1] = 5.0, 0.25, 0.4
    heading = decode_likeliest_heading(channels)
    assert heading.shape == (2, 3)
    assert gap(heading[0, 1].item(), 2.25 * math.pi / 2) < FLOAT32_BELOW_16
    assert heading[1, 2] == 0


def test_two_channels_are_sine_and_cosine():
    angle = torch.tensor([0.3, -2.0, 3.0])
    torch.testing.assert_close(decode_heading(torch.stack([2 * angle.sin(), 2 * angle.cos()], dim=1)), angle)


def test_no_boxes():
    sector, residual = encode_heading_bin(torch.zeros(0), 12)
    assert (sector.shape, residual.shape, decode_likeliest_heading(torch.zeros(0, 24)).shape) == ((0,), (0,), (0,))
