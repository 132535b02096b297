"""The anchor head's layers written out, and the order of its numbers."""

from __future__ import annotations

import pytest
import torch

from pcdet_poly.models.layers.anchor_head import AnchorHead
from tests.tolerances import FLOAT32_SUM


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_a_matrix_product_per_cell_anchor_by_anchor(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    head = AnchorHead(5, 3, per_cell=4, direction_bins=2).double()
    bev = torch.randn(2, 5, 3, 7, dtype=torch.float64).to(memory_format=layout)
    maps = head(bev)
    for name, channels in (("logit", 3), ("code", 7), ("direction", 2)):
        layer = getattr(head, name)
        weight, bias = layer.weight.reshape(4, channels, 5), layer.bias.reshape(4, channels)
        found = getattr(maps, name)
        assert found.shape == (2, 3 * 7 * 4, channels)
        for row in range(3):
            for column in range(7):
                for place in range(4):
                    wanted = bev[:, :, row, column] @ weight[place].T + bias[place]
                    torch.testing.assert_close(found[:, (row * 7 + column) * 4 + place], wanted)


@pytest.mark.parametrize("prior", [0.01, 0.1])
def test_starts_from_its_prior_and_near_its_anchors(prior: float) -> None:
    torch.manual_seed(0)
    maps = AnchorHead(16, 3, per_cell=6, prior=prior)(torch.rand(1, 16, 20, 20))
    assert AnchorHead(16, 3, per_cell=6, prior=prior)(torch.zeros(1, 16, 4, 4)).logit.sigmoid().mean().item() == (
        pytest.approx(prior, rel=FLOAT32_SUM)
    )
    assert maps.code.std() < 0.2  # only the biases, uniform in +-1/4, are not tiny
