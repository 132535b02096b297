"""Waymo's detection metrics without TensorFlow: the official numbers, in seconds."""

from pcdet_poly.evaluation.bootstrap import bootstrap, draw_segments, paired_bootstrap, resampled
from pcdet_poly.evaluation.evaluator import Evaluator, evaluate, evaluate_problem
from pcdet_poly.evaluation.files.detections import DetectionsFile, read_detections, write_detections
from pcdet_poly.evaluation.files.submission import write_labels, write_predictions, write_submission
from pcdet_poly.evaluation.report import print_table, to_markdown
from pcdet_poly.evaluation.table import ApTable
from pcdet_poly.evaluation.zones import in_zones

__all__ = [
    "ApTable",
    "DetectionsFile",
    "Evaluator",
    "bootstrap",
    "draw_segments",
    "evaluate",
    "evaluate_problem",
    "in_zones",
    "paired_bootstrap",
    "print_table",
    "read_detections",
    "resampled",
    "to_markdown",
    "write_detections",
    "write_labels",
    "write_predictions",
    "write_submission",
]
