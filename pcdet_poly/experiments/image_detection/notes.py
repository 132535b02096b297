"""What rows of differences do not say: how the detectors were trained, and how well each arm does by itself."""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.image_detection.arms import Arm, DetectorName
from pcdet_poly.experiments.image_detection.evaluate import MATCH_IOU, SURE
from pcdet_poly.experiments.image_detection.sizes import StudySize, read_metric
from pcdet_poly.experiments.image_detection.trials import TrialTable

_METRICS = ("box_ap", "box_ar", "mask_ap", "mask_ar", "found", "mask_iou", "false_boxes")
_HEADS = (
    *("detector, loss", "box AP", "box AR", "mask AP", "mask AR"),
    *("digits found, %", "their mask IoU, %", "false boxes per image"),
)


def format_notes(trials: TrialTable, size: StudySize) -> str:
    """Describe the trainings, and what every arm reached: means over the seeds, deviations in brackets.

    Args:
        trials: at least those of the study.
        size: what was trained.

    Returns:
        Markdown.
    """
    lengths = ", ".join(f"{schedule.steps} for {name}" for name, schedule in size.schedules.items())
    one = next(iter(size.schedules.values()))
    about = (
        f"{size.num_seeds} seeds, each with its own scenes, first weights and order, the same in all arms; steps of "
        f"{one.batch_size} scenes: {lengths}; {size.num_val} held-out scenes of other digits over another photograph. "
        "AP and AR are COCO's (IoU .5 to .95, up to 100 detections an image). A digit is found by a detection of its "
        f"class with a score of {SURE:g} and a box IoU of {MATCH_IOU:g}."
    )
    rows = [_format_arm(trials, size, detector, arm) for detector in size.schedules for arm in size.arms]
    return f"{about}\n\n{format_markdown_table(_HEADS, rows)}"


def _format_arm(trials: TrialTable, size: StudySize, detector: DetectorName, arm: Arm) -> list[str]:
    column = size.arms.index(arm)
    cells = []
    for metric in _METRICS:
        values = read_metric(trials, size, detector, metric)[:, column]
        spread = f" ({np.nanstd(values, ddof=1):.1f})" if np.isfinite(values).sum() > 1 else ""
        cells.append("-" if np.isnan(values).all() else f"{np.nanmean(values):.1f}{spread}")
    return [f"{detector}, {arm.name}", *cells]
