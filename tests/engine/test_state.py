"""A detector from its config and seed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pcdet_poly.data.load.loader import load_training_batches
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.engine.state import build_seeded_recipe, seed_step
from pcdet_poly.models.layers.sync_norm import synchronize_norms

CPU = torch.device("cpu")


def test_weights_depend_on_the_seed_alone(tiny) -> None:
    first = build_seeded_recipe(tiny(), CPU).model.state_dict()
    torch.rand(7)
    again = build_seeded_recipe(tiny(), CPU).model.state_dict()
    other = build_seeded_recipe(tiny(seed=1), CPU).model.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_random_numbers_of_a_step_depend_on_seed_and_step_alone() -> None:
    drawn = {}
    for seed, step in [(0, 0), (0, 1), (1, 0), (2**40, 0)]:
        for _ in range(2):
            seed_step(seed, step)
            drawn.setdefault((seed, step), []).append(torch.rand(1).item())
    assert all(first == second for first, second in drawn.values())
    assert len({first for first, _ in drawn.values()}) == len(drawn)


def test_norms_keep_the_published_momentum_where_none_is_given(tiny) -> None:
    model = build_seeded_recipe(tiny(norm_momentum=None), CPU).model
    momentum = {name: module.momentum for name, module in model.named_modules() if hasattr(module, "running_mean")}
    assert set(momentum.values()) == {0.01, 0.1}
    assert all((value == 0.1) == name.startswith("head.") for name, value in momentum.items())


@pytest.mark.parametrize("synchronised", [False, True])
def test_norm_momentum_reaches_every_batch_norm(tiny, synchronised: bool) -> None:
    config = tiny(norm_momentum=1.0)
    model = build_seeded_recipe(config, CPU).model
    if synchronised:
        synchronize_norms(model)
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert len(norms) > 4
    # At momentum 1 the running statistics are those of the last batch, whatever came before.
    one, other = load_training_batches(config, open_training_frames(config), epoch=0, first_step=1)
    model.train()
    with torch.no_grad():
        model(other)
        after_other = [norm.running_mean.clone() for norm in norms]
        model(one)
        model(other)
    assert all(
        # 0 times the old mean and 1 times the new: a rounding of numbers about 1.
        torch.allclose(norm.running_mean, mean, atol=1e-6)
        for norm, mean in zip(norms, after_other, strict=True)
    )
