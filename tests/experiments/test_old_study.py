"""The committed study, read by the rules of today: what its own report denied is in its numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.experiments.arm_tests import ArmTable, estimate_contrast, test_equality
from pcdet_poly.experiments.many_arms import compare_with_baseline
from pcdet_poly.experiments.size_curve import fit_size_curve

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "studies" / "poly_epsilon"
APH, BEV = ("MEAN", "3D", "2", "aph"), ("MEAN", "BEV", "1", "ap")
EPSILONS = {"focal": 0.0, "eps-1": -1.0, "eps-0.4": -0.4, "eps1": 1.0, "eps2": 2.0}


def read_table(cell: tuple[str, str, str, str]) -> tuple[list[str], ArmTable]:
    with open(FOLDER / "runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["class"], row["part"], row["level"], row["metric"]) == cell]
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    points = {(row["seed"], row["arm"]): float(row["points"]) for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    return arms, ArmTable(np.array([[points[seed, arm] for arm in arms] for seed in seeds]))


def weigh_trend(arms: list[str]) -> np.ndarray:
    """Weights of the least-squares slope over epsilon."""
    mean = np.mean(list(EPSILONS.values()))
    spread = sum((epsilon - mean) ** 2 for epsilon in EPSILONS.values())
    return np.array([(EPSILONS[arm] - mean) / spread if arm in EPSILONS else 0.0 for arm in arms])


@pytest.mark.parametrize(("cell", "p"), [(APH, 1.14e-4), (BEV, 2.05e-7)])
def test_the_arms_are_not_equal(cell: tuple[str, str, str, str], p: float) -> None:
    """By hand: analysis of variance of arm + seed, F with 8 and 32 degrees of freedom."""
    found = test_equality(read_table(cell)[1])
    assert found.freedom == (8, 32)
    assert float(found.p) == pytest.approx(p, rel=0.01)


@pytest.mark.parametrize(("cell", "slope", "p"), [(APH, 1.17, 0.019), (BEV, 2.57, 0.0034)])
def test_the_metric_rises_with_epsilon(cell: tuple[str, str, str, str], slope: float, p: float) -> None:
    """One slope per seed, and a t test of five slopes."""
    arms, table = read_table(cell)
    found = estimate_contrast(table, weigh_trend(arms), pooled=False).estimate
    # Half of the last digit that is published.
    assert float(found.mean) == pytest.approx(slope, abs=0.005)
    assert float(found.p) == pytest.approx(p, rel=0.02)


@pytest.mark.parametrize(("cell", "correlation"), [(APH, 0.975), (BEV, 0.979)])
def test_the_size_of_the_gradient_explains_every_arm(cell: tuple[str, str, str, str], correlation: float) -> None:
    arms, table = read_table(cell)
    with open(FOLDER / "sizes.csv", newline="") as file:
        sizes = {row["arm"]: (float(row["size"]), row["polynomial"] == "1") for row in csv.DictReader(file)}
    log2_size = np.log2([sizes[arm][0] for arm in arms])
    curve = fit_size_curve(table, log2_size, np.array([sizes[arm][1] for arm in arms]))
    assert curve.correlation == pytest.approx(correlation, abs=0.003)  # sizes have two digits
    assert curve.lack_of_fit > 0.5  # nothing is left between arms
    assert all(one.p > 0.5 for one in curve.beyond)  # nor by any polynomial beyond its size
    assert len(curve.beyond) == 4


def test_the_best_and_the_worst_arm_stand_out_together() -> None:
    arms, table = read_table(BEV)
    found = compare_with_baseline(table, arms.index("focal"))
    different = [arms[arm] for arm, e in zip(found.arms, found.adjusted, strict=True) if e.p <= 0.05]
    assert found.method == "Dunnett"
    assert "eps-1" in different
    assert "eps2" in different
