"""Waymo's detection metrics without TensorFlow: the official numbers, in seconds."""

from pcdet_poly.evaluation.detections_file import DetectionsFile, read_detections, write_detections
from pcdet_poly.evaluation.evaluator import Evaluator, evaluate, evaluate_problem
from pcdet_poly.evaluation.table import ApTable

__all__ = [
    "ApTable",
    "DetectionsFile",
    "Evaluator",
    "evaluate",
    "evaluate_problem",
    "read_detections",
    "write_detections",
]
