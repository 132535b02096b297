"""Studies of images and simulations made small: forty made-up digits, a step or two, few arms; few beams."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch

from pcdet_poly.experiments.classification.train import TrainingSettings
from pcdet_poly.experiments.digits.train import TrainingSchedule
from pcdet_poly.experiments.image_detection.evaluate import DetectionScores
from pcdet_poly.experiments.image_detection.trials import TrialKey, TrialScores
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import WAYMO_CLASSES

_EXPERIMENTS = "pcdet_poly.experiments"


@contextlib.contextmanager
def shrink_studies() -> Iterator[None]:
    """Let `paper` and `digits` take about a second: what they write is of the same kinds, and their trainings short."""
    label = torch.arange(40) % 10
    image = (label[:, None, None, None] / 10 + torch.zeros(40, 1, 14, 14)).float()
    sizes = {"NUM_NUMBERS": 16, "NUM_TEST_NUMBERS": 20, "NUM_NOISY": 16}
    schedule, few = TrainingSchedule(num_train=50, epochs=1), torch.rand(80, 1, 8, 8, generator=torch.Generator())
    with (
        patch(f"{_EXPERIMENTS}.classification.data.load_small_digits", lambda: (image, label)),
        patch.multiple(f"{_EXPERIMENTS}.classification.data", **sizes),
        patch(f"{_EXPERIMENTS}.classification.study.SETTINGS", TrainingSettings(num_steps=1, batch_size=8)),
        patch(f"{_EXPERIMENTS}.classification.study.NUM_QUICK_SEEDS", 3),
        patch(f"{_EXPERIMENTS}.image_detection.study.run_trial", lambda key, *rest: _invent_scores(key)),
        patch(f"{_EXPERIMENTS}.image_detection.study.compose_scenes", lambda *rest: []),
        patch(f"{_EXPERIMENTS}.digits.data._load_digits", lambda: (few, torch.arange(80) % 10)),
        patch(f"{_EXPERIMENTS}.digits.train.TrainingSchedule", lambda **given: schedule),
    ):
        yield


@contextlib.contextmanager
def shrink_simulation() -> Iterator[None]:
    """Let `simulate` look with a tenth of the columns: its files are of the same kind, in a part of the time."""
    small = partial(simulate_segment, top_shape=(16, 260), side_shape=(20, 60))
    with patch("pcdet_poly.simulation.write.simulate_segment", small):
        yield


def _invent_scores(key: TrialKey) -> TrialScores:
    score = 50.0 + key.seed - key.arm.epsilon + 0.01 * key.seed * key.arm.epsilon
    return TrialScores(DetectionScores(score, score, score, score, 90.0, 0.7, 0.1), 12.3)


def write_detector_study(folder: Path) -> None:
    """Write what `paper` reads of a study of 3D detectors."""
    lines = ["model,arm,seed,class,part,level,metric,points"]
    for seed in range(3):
        for arm, points in (("focal", 50.125), ("eps-1", 51.5 + 0.1 * seed)):
            lines += [f"net,{arm},{seed},{name},3D,1,ap,{points + seed}" for name in WAYMO_CLASSES[:2]]
    (folder / "study/report").mkdir(parents=True)
    (folder / "study/report/runs.csv").write_text("\n".join(lines) + "\n")
