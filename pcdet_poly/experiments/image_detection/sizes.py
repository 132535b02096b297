"""How much the study trains, full and quick, and the trials that this means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcdet_poly.experiments.image_detection.arms import ARMS, QUICK_ARMS, Arm, DetectorName
from pcdet_poly.experiments.image_detection.evaluate import DetectionScores
from pcdet_poly.experiments.image_detection.train import TrainingSchedule
from pcdet_poly.experiments.image_detection.trials import TrialKey, TrialTable


@dataclass(frozen=True)
class StudySize:
    """How much is trained."""

    arms: tuple[Arm, ...]
    num_seeds: int
    schedules: dict[DetectorName, TrainingSchedule]
    num_val: int  # held-out scenes


FULL = StudySize(ARMS, 6, {"mask_rcnn": TrainingSchedule(900), "retinanet": TrainingSchedule(800)}, 100)
QUICK = StudySize(QUICK_ARMS, 3, {"mask_rcnn": TrainingSchedule(250), "retinanet": TrainingSchedule(250)}, 60)


def list_trials(size: StudySize) -> list[TrialKey]:
    """List all trials of a study, seed after seed: one that is stopped has whole seeds."""
    return [
        TrialKey(detector, arm, seed, schedule.steps)
        for seed in range(size.num_seeds)
        for detector, schedule in size.schedules.items()
        for arm in size.arms
    ]


def read_metric(trials: TrialTable, size: StudySize, detector: DetectorName, metric: str) -> np.ndarray:
    """Read one metric of a detector: (S, A), a row for each seed and a column for each arm.

    Args:
        trials: at least those of the study.
        size: seeds and arms of the study.
        detector: whose trials.
        metric: name of a field of DetectionScores.

    Returns:
        The numbers, in per cent.
    """
    assert metric in DetectionScores.__dataclass_fields__, metric
    steps = size.schedules[detector].steps
    keys = [[TrialKey(detector, arm, seed, steps) for arm in size.arms] for seed in range(size.num_seeds)]
    return np.array([[getattr(trials[key].scores, metric) for key in row] for row in keys])
