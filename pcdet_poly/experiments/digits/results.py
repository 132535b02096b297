"""Outcomes of all arms and seeds -> a table with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import t as student

from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.digits.arms import BASELINE, Arm
from pcdet_poly.experiments.digits.data import NUM_DIGITS
from pcdet_poly.experiments.digits.train import TrainingOutcome, TrainingSchedule

OutcomesByArm = Mapping[Arm, Sequence[TrainingOutcome]]  # for each arm one outcome per seed, in the same order of seeds


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95 % interval (Student's t)."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.mean - self.half_width:+.2f}, {self.mean + self.half_width:+.2f}]"


@dataclass(frozen=True)
class ArmRow:
    """One arm in the table. Accuracies are in per cent; differences are from the baseline, paired by seed."""

    arm: str
    accuracy: float
    accuracy_sd: float
    difference: Interval
    detectable: float  # smallest difference that so many seeds find with 80 % power
    cross_entropy: float
    calibration_error: float
    mean_p_t: float


def build_rows(outcomes: OutcomesByArm) -> list[ArmRow]:
    """Build one row per arm, in the order given."""
    baseline = _list_accuracies(outcomes[BASELINE])
    return [_build_row(arm, found, baseline) for arm, found in outcomes.items()]


def estimate_difference(differences: np.ndarray) -> Interval:
    """Estimate the mean of (N,) paired differences, N >= 2, with its 95 % interval."""
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return Interval(float(differences.mean()), float(student.ppf(0.975, len(differences) - 1) * error))


def estimate_detectable(differences: np.ndarray) -> float:
    """Estimate the smallest true mean difference that a two-sided 5 % test of as many seeds finds with 80 % power.

    This is the usual sum of two quantiles, which is a little larger than the exact value.
    """
    freedom = len(differences) - 1
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return float((student.ppf(0.975, freedom) + student.ppf(0.8, freedom)) * error)


def format_markdown(rows: Sequence[ArmRow], outcomes: OutcomesByArm, schedule: TrainingSchedule) -> str:
    """Write the table as Markdown, with what was run above it and what it does not say below.

    Args:
        rows: the table, the baseline first.
        outcomes: what the rows were computed from.
        schedule: length and size of the trainings.

    Returns:
        The text of table.md.
    """
    num_seeds = len(outcomes[BASELINE])
    error = max(share.largest_error for arm in outcomes.values() for found in arm for share in found.first_shares)
    head = (
        f"{num_seeds} seeds, {schedule.num_train} digits to train on and {NUM_DIGITS - schedule.num_train} to test on, "
        f"another split per seed; {schedule.epochs} epochs; differences from cross-entropy are paired by seed, "
        "with 95 % intervals.\n\n"
    )
    heads = (
        "loss",
        "accuracy % (sd)",
        "difference, points",
        "detectable",
        "cross-entropy",
        "calibration error",
        "mean P_t",
    )
    return f"{head}{format_markdown_table(heads, map(_format_row, rows))}\n" + _format_caveats(len(rows) - 1, error)


def to_json(rows: Sequence[ArmRow], schedule: TrainingSchedule, num_seeds: int) -> dict[str, object]:
    """Convert the table to the plain types of results.json.

    Args:
        rows: the table.
        schedule: length and size of the trainings.
        num_seeds: trainings per arm.

    Returns:
        The content of results.json.
    """
    return {"plan": asdict(schedule), "seeds": num_seeds, "rows": [asdict(row) for row in rows]}


def _format_caveats(num_arms: int, error: float) -> str:
    by_chance = f"{0.05 * num_arms:.1f}"
    return (
        f"\nOf {num_arms} intervals about {by_chance} exclude 0 by chance alone. `detectable`: the smallest true "
        "difference that this many seeds would find with 80 % power; a smaller one that is not seen is not refuted.\n"
        f"Largest |share of the first polynomial - P_t| of any digit at any step: {error:.1e}.\n"
    )


def _format_row(row: ArmRow) -> tuple[str, ...]:
    compared = ("", "") if row.arm == BASELINE.name else (f"{row.difference}", f"{row.detectable:.2f}")
    numbers = (f"{value:.3f}" for value in (row.cross_entropy, row.calibration_error, row.mean_p_t))
    return row.arm, f"{row.accuracy:.2f} ({row.accuracy_sd:.2f})", *compared, *numbers


def _build_row(arm: Arm, outcomes: Sequence[TrainingOutcome], baseline: np.ndarray) -> ArmRow:
    accuracy = _list_accuracies(outcomes)
    return ArmRow(
        arm=arm.name,
        accuracy=float(accuracy.mean()),
        accuracy_sd=float(accuracy.std(ddof=1)),
        difference=estimate_difference(accuracy - baseline),
        detectable=estimate_detectable(accuracy - baseline),
        cross_entropy=float(np.mean([outcome.cross_entropy for outcome in outcomes])),
        calibration_error=float(np.mean([outcome.calibration_error for outcome in outcomes])),
        mean_p_t=float(np.mean([outcome.mean_p_t for outcome in outcomes])),
    )


def _list_accuracies(outcomes: Sequence[TrainingOutcome]) -> np.ndarray:
    return 100 * np.array([outcome.accuracy for outcome in outcomes])
