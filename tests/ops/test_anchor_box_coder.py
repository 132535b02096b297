"""Residual codes against the formula for one box, their inverse, and sectors of heading."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcdet_poly.ops.anchor_box_coder import decode_anchor_boxes, encode_anchor_boxes, find_sector, turn_into_sector
from tests.tolerances import FLOAT32_VALUE, FLOAT64_SUM


def pairs(count: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def boxes() -> torch.Tensor:
        centre = torch.randn(count, 3, generator=generator, dtype=torch.float64) * 20
        size = torch.rand(count, 3, generator=generator, dtype=torch.float64) * 5 + 0.3
        return torch.cat([centre, size, torch.randn(count, 1, generator=generator, dtype=torch.float64) * 3], 1)

    return boxes(), boxes()


def test_equals_the_formula_box_by_box() -> None:
    box, anchor = pairs()
    code = encode_anchor_boxes(box, anchor)
    for (x, y, z, dx, dy, dz, r), (xa, ya, za, dxa, dya, dza, ra), found in zip(
        box.tolist(), anchor.tolist(), code.tolist(), strict=True
    ):
        diagonal = math.hypot(dxa, dya)
        wanted = [(x - xa) / diagonal, (y - ya) / diagonal, (z - za) / dza]
        wanted += [math.log(dx / dxa), math.log(dy / dya), math.log(dz / dza), r - ra]
        assert found == pytest.approx(wanted, abs=FLOAT64_SUM)


def test_decoding_undoes_encoding() -> None:
    box, anchor = pairs()
    torch.testing.assert_close(decode_anchor_boxes(encode_anchor_boxes(box, anchor), anchor), box)
    code = encode_anchor_boxes(box, anchor).clamp(-4, 4)
    torch.testing.assert_close(encode_anchor_boxes(decode_anchor_boxes(code, anchor), anchor), code)


def test_the_anchor_itself_has_code_zero() -> None:
    anchor = torch.tensor([1.0, 2, 3, 4.7, 2.1, 1.7, 1.57])
    assert encode_anchor_boxes(anchor, anchor).abs().max() == 0


def test_no_infinite_box_from_wild_codes() -> None:
    anchor = torch.tensor([0.0, 0, 0, 4.7, 2.1, 1.7, 0])
    box = decode_anchor_boxes(torch.tensor([0.0, 0, 0, 500, -500, 5, 0]), anchor)
    np.testing.assert_allclose(box[3:6], [4.7 * math.exp(5), 2.1 * math.exp(-5), 1.7 * math.exp(5)], rtol=FLOAT32_VALUE)


@pytest.mark.parametrize("num_sectors", [2, 4])
@pytest.mark.parametrize("offset", [0.0, math.pi / 4, -2.0])
def test_sector_by_counting_turns(num_sectors: int, offset: float) -> None:
    width = 2 * math.pi / num_sectors
    for heading in np.linspace(-10, 10, 401):
        turns, sector = heading - offset, 0
        while turns < 0:
            turns += 2 * math.pi
        while turns >= 2 * math.pi:
            turns -= 2 * math.pi
        while turns >= width:
            turns -= width
            sector += 1
        assert find_sector(torch.tensor(heading, dtype=torch.float64), num_sectors, offset) == sector


def test_just_below_the_first_sector_is_the_last_one() -> None:
    heading = torch.tensor(math.pi / 4).nextafter(torch.tensor(0.0))
    assert find_sector(heading, 2, math.pi / 4).item() in (0, 1)  # rounding may take it to either end, never beyond
    assert find_sector(heading - 1e-3, 2, math.pi / 4) == 1


@pytest.mark.parametrize("num_sectors", [2, 4, 6])
@pytest.mark.parametrize("half_turns", [0, 1, -3])
def test_the_right_sector_brings_the_heading_back_from_any_half_turn(num_sectors: int, half_turns: int) -> None:
    heading = torch.linspace(-3.1, 3.1, 97, dtype=torch.float64)
    sector = find_sector(heading, num_sectors, math.pi / 4)
    found = turn_into_sector(heading + half_turns * math.pi, sector, num_sectors, math.pi / 4)
    torch.testing.assert_close(found, heading, rtol=0, atol=FLOAT64_SUM)


def test_the_other_sector_turns_the_box_around() -> None:
    heading = torch.tensor([0.3, -2.0, 1.5])
    sector = find_sector(heading, 2, math.pi / 4)
    turned = turn_into_sector(heading, 1 - sector, 2, math.pi / 4)
    torch.testing.assert_close((turned - heading).cos(), torch.full((3,), -1.0))
