"""An evaluation in TensorBoard: precision and recall of every class, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.engine.run import Run
from pcdet_poly.evaluation import Evaluator
from pcdet_poly.evaluation.kernels.average_precision import PRECISION, RECALL, precision_recall_curve
from pcdet_poly.evaluation.kernels.outcome_counts import FN_1, FN_2, FP, TP

NUM_THRESHOLDS = 101  # TensorBoard takes them for 0, 0.01, ... 1: Waymo's own cut-offs
_ROUNDING = 1e-6


def show_evaluation(run: Run, evaluator: Evaluator, pictures: Path, step: int) -> None:
    """Write precision-recall curves and pictures to TensorBoard.

    Args:
        run: whose TensorBoard events are written.
        evaluator: counts of the evaluation; every part and class gets a curve at the hardest level.
        pictures: folder whose PNG files are shown.
        step: steps done, under which all of it is shown.
    """
    from PIL import Image

    level = max(evaluator.counter.cfg.levels)
    shards, counts = evaluator.counter.layout.shards, evaluator.sum_counts()
    for part, of_part in zip(evaluator.counter.cfg.box_types, counts, strict=False):
        for name in evaluator.class_names:
            row = f"OBJECT_TYPE_TYPE_{name}"
            if row in shards:
                _add_curve(run, f"{part}/{name}_LEVEL_{level}", of_part[shards.index(row)], evaluator, level, step)
    for path in sorted(pictures.glob("*.png")):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))  # (H, W, 3)
        run.tensorboard.add_image(f"pictures/{path.stem}", pixels, step, dataformats="HWC")
    run.tensorboard.flush()


def _add_curve(run: Run, tag: str, counts: np.ndarray, evaluator: Evaluator, level: int, step: int) -> None:
    """Add one curve. `counts` (NUM_COUNTS, C) at the evaluation's cut-offs is read off at TensorBoard's thresholds."""
    counter = evaluator.counter
    points = precision_recall_curve(counts, level, counter.cfg.min_precision)
    thresholds = np.linspace(0, 1, NUM_THRESHOLDS)
    place = np.searchsorted(counter.cutoffs, thresholds - _ROUNDING)  # the first cut-off that is not below
    beyond = place == len(counter.cutoffs)  # where nothing is detected any more
    at = np.minimum(place, len(counter.cutoffs) - 1)
    misses = counts[FN_1 if level == 1 else FN_2]
    run.tensorboard.add_pr_curve_raw(
        tag,
        true_positive_counts=np.where(beyond, 0, counts[TP][at]),
        false_positive_counts=np.where(beyond, 0, counts[FP][at]),
        true_negative_counts=np.zeros(NUM_THRESHOLDS),
        false_negative_counts=np.where(beyond, counts[TP][-1] + misses[-1], misses[at]),
        precision=np.where(beyond, 1, points[PRECISION][at]),
        recall=np.where(beyond, 0, points[RECALL][at]),
        global_step=step,
        num_thresholds=NUM_THRESHOLDS,
    )
