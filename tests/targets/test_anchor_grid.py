"""Where anchors stand, against loops; the order of their numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcdet_poly.structures import Grid
from tests.tolerances import COORDINATE_M, FLOAT32_BELOW_16

from .anchor_cases import CLASSES, lattice


@pytest.mark.parametrize("anchors_at", ["corners", "centres"])
def test_boxes_by_row_column_class_and_yaw(anchors_at: str) -> None:
    anchors = lattice(anchors_at=anchors_at, yaws_rad=(0.0, 1.57, 0.5))
    if anchors_at == "corners":
        columns, rows = np.linspace(-8, 8, 32), np.linspace(-6, 6, 16)
    else:
        columns, rows = -8 + 0.5 * (np.arange(32) + 0.5), -6 + 0.75 * (np.arange(16) + 0.5)
    expected = [
        [x, y, each.bottom_z + each.size[2] / 2, *each.size, yaw]
        for y in rows
        for x in columns
        for each in CLASSES
        for yaw in (0.0, 1.57, 0.5)
    ]
    assert len(anchors) == len(expected) == 32 * 16 * 6
    found = anchors.build_boxes(torch.arange(len(anchors)))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, np.array(expected), atol=FLOAT32_BELOW_16)


def test_any_shape_of_numbers() -> None:
    anchors = lattice()
    number = torch.tensor([[0, 5], [77, len(anchors) - 1]])
    assert torch.equal(anchors.build_boxes(number)[1, 0], anchors.build_boxes(torch.tensor([77]))[0])
    assert anchors.build_boxes(number[:0]).shape == (0, 2, 7)


def test_the_published_lattice_touches_the_edges_of_the_grid() -> None:
    waymo = lattice(Grid((-74.88, -74.88, -2.0), (74.88, 74.88, 4.0), (0.32, 0.32, 6.0)))
    ends = waymo.build_boxes(torch.tensor([0, len(waymo) - 1]))[:, :2]
    np.testing.assert_allclose(ends, [[-74.88, -74.88], [74.88, 74.88]], atol=COORDINATE_M)


def test_one_cell() -> None:
    cell = Grid((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    assert lattice(cell, anchors_at="centres").build_boxes(torch.arange(4))[:, :2].abs().max() == 0
    assert lattice(cell).build_boxes(torch.arange(4))[:, :2].unique().tolist() == [-1.0]
