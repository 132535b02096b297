"""The moving average against a loop over numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pcdet_poly.engine.ema import start_average, update_average


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def change(model: nn.Module, step: int) -> None:
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(step)))
    model(torch.randn(5, 3, generator=torch.Generator().manual_seed(step)))  # running statistics


@pytest.mark.parametrize("decay", [0.5, 0.9999])
def test_average_equals_a_loop_that_forgets_the_start(decay: float) -> None:
    model = network()
    average = start_average(model)
    wanted = {name: tensor.double().clone() for name, tensor in model.state_dict().items()}
    for step in range(1, 31):
        change(model, step)
        update_average(average, model, step=step, decay=decay)
        kept = min(decay, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            wanted[name] = kept * wanted[name] + (1 - kept) * tensor.double()
    found = average.state_dict()
    assert found.pop("1.num_batches_tracked").item() == 30
    for name, tensor in found.items():
        # Thirty float32 steps, each of two roundings of 6e-8.
        torch.testing.assert_close(tensor.double(), wanted[name], rtol=1e-5, atol=1e-5)


def test_the_average_is_a_copy_without_gradients() -> None:
    model = network()
    average = start_average(model)
    change(model, 1)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not torch.equal(average[0].weight, model[0].weight)
    assert all(parameter.requires_grad for parameter in model.parameters())
