"""The one-cycle schedule against its formula and torch's own, and what weight decay reaches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.engine.optim import (
    build_optimizer,
    compute_rates,
    one_cycle,
    one_cycle_of_torch,
    set_rates,
    warmup_cosine,
)
from tests.tolerances import FLOAT64_CANCELLED, FLOAT64_SUM


def fastai_one_cycle(step: int, total: int, peak_rate: float) -> tuple[float, float]:
    """OpenPCDet's two phases with its defaults, written as it does: later phases overwrite earlier ones."""

    def anneal(start: float, end: float, share: float) -> float:
        return end + (start - end) / 2 * (math.cos(math.pi * share) + 1)

    boundary = int(total * 0.4)
    rate = momentum = math.nan
    if step >= 0 and boundary:
        rate, momentum = anneal(peak_rate / 10, peak_rate, step / boundary), anneal(0.95, 0.85, step / boundary)
    if step >= boundary:
        share = (step - boundary) / (total - boundary)
        rate, momentum = anneal(peak_rate, peak_rate / 10 / 1e4, share), anneal(0.85, 0.95, share)
    return rate, momentum


@pytest.mark.parametrize("total", [1, 2, 3, 7, 100, 1234])
def test_schedule_equals_the_formula_at_every_step(total: int) -> None:
    cfg = TrainConfig(learning_rate=3e-3)
    for step in range(total):
        assert one_cycle(step, total, cfg) == pytest.approx(fastai_one_cycle(step, total, 3e-3), rel=FLOAT64_SUM)


def test_schedule_starts_peaks_and_ends_where_it_says() -> None:
    cfg = TrainConfig(learning_rate=4e-3, division=8, warmup=0.25, momentum=(0.9, 0.7))
    assert one_cycle(0, 1000, cfg) == pytest.approx((5e-4, 0.9))
    assert one_cycle(250, 1000, cfg) == pytest.approx((4e-3, 0.7))
    rate, beta1 = one_cycle(999, 1000, cfg)
    # The last step is just above the end, 4e-3 / 8 / 1e4.
    assert 5e-8 < rate < 1e-7
    # As near to its end as the rate is to its own.
    assert beta1 == pytest.approx(0.9, abs=1e-5)


def test_schedule_agrees_with_torch_where_their_definitions_coincide() -> None:
    # torch puts the peak at warmup * total - 1 and the end at total - 1, so one step is cut from each phase.
    cfg = TrainConfig(learning_rate=1e-2)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-2, total_steps=101, pct_start=41 / 101, div_factor=10, final_div_factor=1e4
    )
    for step in range(100):
        assert one_cycle(step, 100, cfg)[0] == pytest.approx(optimizer.param_groups[0]["lr"], rel=FLOAT64_CANCELLED)
        assert one_cycle(step, 100, cfg)[1] == pytest.approx(
            optimizer.param_groups[0]["betas"][0], rel=FLOAT64_CANCELLED
        )
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(("total", "warmup"), [(2, 0.4), (7, 0.4), (101, 0.4), (200, 0.25), (50, 10), (50, 0)])
def test_torchs_cycle_is_torchs_at_every_step(total: int, warmup: float) -> None:
    cfg = TrainConfig(learning_rate=1e-2, division=5, warmup=warmup)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    share = warmup / total if isinstance(warmup, int) else warmup
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-2, total_steps=total, pct_start=share, div_factor=5, final_div_factor=1e4
    )
    for step in range(total):
        rate, beta1 = one_cycle_of_torch(step, total, cfg)
        # The same formula in float64; a share of steps that is no binary number is off by a unit in the last place.
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert beta1 == pytest.approx(optimizer.param_groups[0]["betas"][0], rel=FLOAT64_SUM)
        optimizer.step()
        if step < total - 1:
            theirs.step()


def test_cosine_is_rsns_schedule() -> None:
    cfg = TrainConfig(schedule="cosine", optimizer="adam", learning_rate=6e-3, division=2, warmup=5000, steps=120_000)
    rates = {step: warmup_cosine(step, 120_000, cfg) for step in (0, 2500, 5000, 62_500, 119_999)}
    assert rates[0] == pytest.approx(3e-3)
    assert rates[2500] == pytest.approx(4.5e-3)
    assert rates[5000] == pytest.approx(6e-3)
    assert rates[62_500] == pytest.approx(3e-3)  # halfway down
    assert 0 < rates[119_999] < 1e-8
    assert [compute_rates(step, 120_000, cfg) for step in rates] == [(rate, 0.95) for rate in rates.values()]


def test_cosine_agrees_with_torch() -> None:
    cfg = TrainConfig(schedule="cosine", learning_rate=0.01, division=4, warmup=0.2)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01)
    line = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=20)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=80)
    theirs = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, down], milestones=[20])
    for step in range(100):
        assert warmup_cosine(step, 100, cfg) == pytest.approx(optimizer.param_groups[0]["lr"], rel=FLOAT64_CANCELLED)
        optimizer.step()
        theirs.step()


def test_warm_up_as_a_number_of_steps_or_as_a_share() -> None:
    for name in ("one_cycle", "cosine"):
        share, number = (TrainConfig(schedule=name, warmup=warmup) for warmup in (0.25, 25))
        assert [compute_rates(step, 100, share) for step in range(100)] == [
            compute_rates(step, 100, number) for step in range(100)
        ]
        assert compute_rates(0, 100, TrainConfig(schedule=name, warmup=0))[0] == pytest.approx(3e-3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_decoupled_decay_shrinks_every_parameter_norms_and_biases_too() -> None:
    model = network()
    optimizer = build_optimizer(model, TrainConfig(weight_decay=0.1))
    set_rates(optimizer, 40, 100, TrainConfig(learning_rate=0.5))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * (1 - 0.5 * 0.1))


def test_adamw_steps_equal_a_naive_version() -> None:
    cfg = TrainConfig(learning_rate=0.02, weight_decay=0.05)
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = build_optimizer(nn.ParameterList([parameter]), cfg)
    value, first, second, beta1_power = parameter.detach().double().clone(), 0.0, 0.0, 1.0
    for step in range(6):
        gradient = torch.tensor([0.3, -0.1, 2.0]) * (step + 1)
        set_rates(optimizer, step, 6, cfg)
        parameter.grad = gradient.clone()
        optimizer.step()
        rate, beta1 = one_cycle(step, 6, cfg)
        first = beta1 * first + (1 - beta1) * gradient.double()
        second = 0.99 * second + 0.01 * gradient.double() ** 2
        beta1_power = beta1 ** (step + 1)  # torch corrects the bias with the present beta1, as fastai's Adam did
        value = value * (1 - rate * 0.05)
        value = value - rate * (first / (1 - beta1_power)) / ((second / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8)
    # Six steps in float32 beside float64, each of a few roundings of 6e-8.
    torch.testing.assert_close(parameter.detach().double(), value, rtol=1e-5, atol=1e-6)


def test_adam_adds_the_decay_to_the_gradient() -> None:
    model = network()
    optimizer = build_optimizer(model, TrainConfig(optimizer="adam", weight_decay=0.1))
    weight = model[0].weight
    before = weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    rate = optimizer.param_groups[0]["lr"]
    optimizer.step()
    # Adam's first step has the size of the learning rate, whatever the gradient's.
    torch.testing.assert_close(weight.detach(), before - rate * before.sign(), rtol=1e-3, atol=1e-6)
