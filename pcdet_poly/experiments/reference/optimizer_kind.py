"""Our optimiser and schedules beside OpenPCDet's adam_onecycle and torch's OneCycleLR."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from pcdet_poly.config.sections.train import TrainConfig
from pcdet_poly.engine.optim import build_optimizer, compute_rates, set_rates
from pcdet_poly.experiments.reference.arrays import Arrays, select_arrays
from pcdet_poly.experiments.reference.output import Output, compare, compare_array

DECAY, CLIP = 0.1, 10.0  # of the steps in such a file
# Allowed errors, in units of the largest value: rates are float64, and parameters take a few float32 steps, each small
# beside them, of a handful of roundings of 6e-8.
RATES, PARAMETERS = 1e-12, 1e-6


def compare_one_cycle(arrays: Arrays) -> Iterator[Output]:
    """Rates at every step of whole trainings, then a few steps of a small network."""
    for name in sorted(name.removesuffix(".lr") for name in arrays if name.startswith("schedule.")):
        if f"{name}.lr" in arrays:
            yield from _compare_schedule(arrays, name)
    yield from _compare_steps(arrays)


def compare_one_cycle_of_torch(arrays: Arrays) -> Iterator[Output]:
    """Rates at every step of a training with torch's OneCycleLR and PillarNeXt's settings."""
    cfg = TrainConfig(learning_rate=float(arrays["max_lr"]), schedule="one_cycle_torch")
    total = int(arrays["total_steps"])
    rates, beta1 = zip(*(compute_rates(step, total, cfg) for step in range(total)), strict=True)
    for name, ours in {"lr": rates, "beta1": beta1, "beta2": cfg.beta2}.items():
        yield compare(name, ours, arrays[name], relative=RATES)


def _compare_schedule(arrays: Arrays, name: str) -> Iterator[Output]:
    rates, beta1 = arrays[f"{name}.lr"], arrays[f"{name}.beta1"]
    cfg = TrainConfig(learning_rate=float(rates.max()))
    ours = [compute_rates(step, len(rates), cfg) for step in range(len(rates))]
    yield compare(f"{name}.lr", [rate for rate, _ in ours], rates, relative=RATES)
    yield compare(f"{name}.beta1", [beta for _, beta in ours], beta1, relative=RATES)


def _compare_steps(arrays: Arrays) -> Iterator[Output]:
    """Take the steps with the file's gradients, and compare rates, norms and parameters of each."""
    total, first = (int(number) for number in arrays["step.total"])
    count = sum(name.startswith("step.") and name.endswith(".norm") for name in arrays)
    peak = max(float(arrays[f"step.{i}.lr"]) for i in range(count))
    cfg = TrainConfig(learning_rate=peak, weight_decay=DECAY, clip_norm=CLIP)
    before = select_arrays(arrays, "step.before.")
    names = list(select_arrays(arrays, "step.0.after."))
    network = nn.ParameterDict({name.replace(".", "/"): torch.from_numpy(before[name].copy()) for name in names})
    optimizer = build_optimizer(network, cfg)
    for i in range(count):
        set_rates(optimizer, first + i, total, cfg)
        for name in names:
            network[name.replace(".", "/")].grad = torch.from_numpy(arrays[f"step.{i}.grad.{name}"].copy())
        norm = nn.utils.clip_grad_norm_(network.parameters(), cfg.clip_norm)
        optimizer.step()
        yield compare_array(arrays, f"step.{i}.lr", optimizer.param_groups[0]["lr"], relative=RATES)
        yield compare_array(arrays, f"step.{i}.norm", norm, relative=PARAMETERS)
        for name in names:
            theirs = arrays[f"step.{i}.after.{name}"]
            yield compare(f"step.{i}.after.{name}", network[name.replace(".", "/")], theirs, relative=PARAMETERS)
