"""The study: every detector with every arm and seed, and rows for the report in the order of the paper's table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from pcdet_poly.experiments.image_detection.arms import Arm, DetectorName
from pcdet_poly.experiments.image_detection.evaluate import detect_objects, score_detections
from pcdet_poly.experiments.image_detection.notes import format_notes
from pcdet_poly.experiments.image_detection.scenes import Scene, compose_scenes
from pcdet_poly.experiments.image_detection.sizes import FULL, QUICK, StudySize, list_trials, read_metric
from pcdet_poly.experiments.image_detection.train import TrainingSchedule, train_detector
from pcdet_poly.experiments.image_detection.trials import (
    TrialKey,
    TrialScores,
    TrialTable,
    read_trials,
    write_trials,
)
from pcdet_poly.experiments.paper.compare import ComparedArm, ComparedStudy, compare_arms
from pcdet_poly.experiments.paper.rows import PaperRow, Role, Task
from pcdet_poly.figure_files import save_figure
from pcdet_poly.files import atomic_path
from pcdet_poly.names.shown_names import print_line

TRIALS = "trials.csv"
SOURCE = f"detection/{TRIALS}"  # below the report's folder
NUM_SHOWN = 8  # scenes in a picture
VAL_SEED = 1_000_003  # of the held-out scenes, the same for all trainings; seeds of trainings are small
PAPER_EPSILON = -1.0  # of the paper's Mask R-CNN


# What is told of the trainings: the row of the paper's table, the detector, its metric and its name.
QUESTIONS: tuple[tuple[Task, DetectorName, str, str], ...] = (
    ("detection", "mask_rcnn", "box_ar", "box AR, %"),
    ("detection", "mask_rcnn", "box_ap", "box AP, %"),
    ("detection", "retinanet", "box_ar", "box AR, %"),
    ("detection", "retinanet", "box_ap", "box AP, %"),
    ("masks", "mask_rcnn", "mask_ar", "mask AR, %"),
    ("masks", "mask_rcnn", "mask_ap", "mask AP, %"),
)
SYSTEMS: dict[DetectorName, str] = {
    "mask_rcnn": "Mask R-CNN, digits over photographs",
    "retinanet": "RetinaNet, digits over photographs",
}


def run_study(output: Path, *, quick: bool) -> list[PaperRow]:
    """Train what is not yet in the folder's table of trials, and compare the arms.

    Args:
        output: folder of trials.csv, of notes.md and of pictures of what the plain loss found; made if missing.
        quick: train two arms with three seeds, shortly, to see that it runs.

    Returns:
        A row for each arm but the baseline, of every question, in the order of QUESTIONS.
    """
    size = QUICK if quick else FULL
    trials = run_trials(output / TRIALS, size)
    with atomic_path(output / "notes.md") as temporary:
        temporary.write_text(format_notes(trials, size), "utf-8", newline="\n")
    return compare_trials(trials, size)


def run_trials(path: Path, size: StudySize) -> TrialTable:
    """Run all trials of a study that are not in its file, and write the file after each."""
    trials = read_trials(path)
    missing = [key for key in list_trials(size) if key not in trials]
    path.parent.mkdir(parents=True, exist_ok=True)
    val = compose_scenes("val", size.num_val, VAL_SEED) if missing else []
    started = time.perf_counter()
    with use_one_thread():
        for number, key in enumerate(missing, start=1):
            is_shown = key.arm == size.arms[0] and key.seed == 0
            picture = path.with_name(f"{key.detector}.png") if is_shown else None
            trials[key] = run_trial(key, size.schedules[key.detector], val, picture)
            write_trials(path, trials)
            seconds = time.perf_counter() - started
            told = f"{number}/{len(missing)} {key.detector}, {key.arm.name}, seed {key.seed}: {seconds:.0f} s"
            print_line(f"{told}, about {seconds / number * (len(missing) - number):.0f} s to go", file=sys.stderr)
    return trials


def run_trial(
    key: TrialKey, schedule: TrainingSchedule, val: Sequence[Scene], picture: Path | None = None
) -> TrialScores:
    """Compose scenes, train once and evaluate.

    Args:
        key: what is trained.
        schedule: length of the training.
        val: held-out scenes.
        picture: where to draw what was found in the first of them; None for nowhere.

    Returns:
        The scores, and the CPU time of it all.
    """
    started = time.process_time()
    scenes = compose_scenes("train", schedule.num_scenes, key.seed)
    model = train_detector(key.detector, key.arm, key.seed, schedule, scenes)
    found = detect_objects(model, val)
    if picture is not None:
        from pcdet_poly.experiments.image_detection.draw import draw_detections

        save_figure(draw_detections(val[:NUM_SHOWN], found), picture, dpi=80)
    return TrialScores(score_detections(val, found), time.process_time() - started)


def compare_trials(trials: TrialTable, size: StudySize) -> list[PaperRow]:
    """Compare all arms with the plain loss, paired by seed, each question as a family of its own."""
    rows: list[PaperRow] = []
    arms = [ComparedArm(arm.name, _find_role(arm), arm.epsilon) for arm in size.arms]
    for task, detector, metric, told in QUESTIONS:
        scores = read_metric(trials, size, detector, metric)
        rows += compare_arms(ComparedStudy(task, SYSTEMS[detector], told, SOURCE), arms, scores)
    return rows


@contextmanager
def use_one_thread() -> Iterator[None]:
    """Let torch compute with one thread: the networks are too small to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _find_role(arm: Arm) -> Role:
    if arm.epsilon != PAPER_EPSILON:
        return "other"
    return "matched" if arm.is_matched else "paper"
