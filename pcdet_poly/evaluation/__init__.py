"""Waymo's detection metrics without TensorFlow: the official numbers, in seconds."""

from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.bootstrap import bootstrap, draw_segments, paired_bootstrap, resample_metrics
from pcdet_poly.evaluation.evaluator import Evaluator, evaluate, evaluate_set
from pcdet_poly.evaluation.files.detections import DetectionsFile, read_detections, write_detections
from pcdet_poly.evaluation.files.submission import write_labels, write_predictions, write_submission
from pcdet_poly.evaluation.table_text import print_table, to_markdown
from pcdet_poly.evaluation.zones import find_boxes_in_zones

__all__ = [
    "ApTable",
    "DetectionsFile",
    "Evaluator",
    "bootstrap",
    "draw_segments",
    "evaluate",
    "evaluate_set",
    "find_boxes_in_zones",
    "paired_bootstrap",
    "print_table",
    "read_detections",
    "resample_metrics",
    "to_markdown",
    "write_detections",
    "write_labels",
    "write_predictions",
    "write_submission",
]
