"""One number per seed and arm -> rows of the paper report, by the rules that reports of sweeps follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.experiments.arm_tests import ArmTable
from pcdet_poly.experiments.detectable import find_detectable_arms
from pcdet_poly.experiments.many_arms import compare_with_baseline
from pcdet_poly.experiments.paper.rows import PaperRow, Role, Task


@dataclass(frozen=True)
class ComparedArm:
    """One arm of a study and what its row is for."""

    name: str
    role: Role = "other"
    epsilon: float | None = None


@dataclass(frozen=True)
class ComparedStudy:
    """What all rows of one comparison share."""

    task: Task
    system: str
    metric: str
    source: str
    question: str = ""


def compare_arms(study: ComparedStudy, arms: Sequence[ComparedArm], points: np.ndarray) -> list[PaperRow]:
    """Compare all arms with the first one as one family.

    The error is pooled over arms and intervals are Dunnett's, simultaneous over the family; where arms spread
    unequally each has the larger of the pooled error and its own, and Holm's method takes Dunnett's place. So arms that
    are known to spread more (a loss that hardly learns) belong into a family of their own.

    Args:
        study: what the rows share.
        arms: A arms, the baseline first.
        points: (S, A) the metric of S seeds, of which each has the same data and first weights in all arms.

    Returns:
        A - 1 rows in the order of `arms`; intervals, p and `detectable` are NaN for fewer than three seeds.

    Raises:
        ValueError: the table does not have a column for each arm.
    """
    table = ArmTable(np.asarray(points, np.float64))
    if table.num_arms != len(arms) or len(arms) < 2:
        raise ValueError(f"a table of shape {points.shape} for {len(arms)} arms: one column each, at least two")
    many = compare_with_baseline(table, 0)
    return [
        PaperRow(
            task=study.task,
            system=study.system,
            metric=study.metric,
            role=arms[column].role,
            baseline=arms[0].name,
            baseline_value=float(table.points[:, 0].mean()),
            arm=arms[column].name,
            difference=float(one.mean),
            low=float(one.low),
            high=float(one.high),
            p=float(one.p),
            num_seeds=table.num_seeds,
            detectable=detectable,
            source=study.source,
            epsilon=arms[column].epsilon,
            question=study.question,
        )
        for column, one, detectable in zip(many.arms, many.adjusted, find_detectable_arms(table, many), strict=True)
    ]
