"""The records that a part of the paper report returns: one row for each arm that is compared with a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Rows of the paper's Table 1, in its order; "vehicles" and "pedestrians" are 3D detection.
Task = Literal["classification", "detection", "masks", "vehicles", "pedestrians"]
TASKS: tuple[Task, ...] = ("classification", "detection", "masks", "vehicles", "pedestrians")

# What a row is for: the paper's own epsilon; the same epsilon with the loss scaled to the plain one's gradient size;
# another arm that is looked at; a control, whose effect is known beforehand.
Role = Literal["paper", "matched", "other", "control"]


@dataclass(frozen=True)
class PaperRow:
    """One arm minus the baseline of its study, paired by seed, in points of the metric.

    `low` and `high` are the ends of a 95 % interval, and `p` is adjusted over the family that the study tests
    together; all three are NaN where there are too few seeds for an interval.
    """

    task: Task
    system: str  # what was trained on what: "Residual network, MNIST digits"
    metric: str  # "accuracy, %", "box AR, %"
    role: Role
    baseline: str  # name of the arm that is subtracted
    baseline_value: float  # its mean over the seeds
    arm: str
    difference: float  # mean over the seeds
    low: float
    high: float
    p: float
    num_seeds: int
    detectable: float  # the smallest true difference that the study finds in 80 % of cases
    source: str  # where the numbers come from: a file of the output folder, or of docs/studies
    epsilon: float | None = None  # of the arm, where it has one: for figures
    question: str = ""  # what the arms of one family are compared for; a part's rows are shown question by question
