"""A frame's detections and labels -> what became of each, as the evaluation counts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.config.schema import Config
from pcdet_poly.evaluation import find_boxes_in_zones
from pcdet_poly.evaluation.match_counter import MatchCounter
from pcdet_poly.evaluation.tabulate import build_evaluation_set
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.viewer.outcomes import LEFT_OUT, Outcomes


def judge_boxes(
    detections: Detections,
    truth: GroundTruth,
    config: Config,
    *,
    cutoffs: np.ndarray,
    zones: Sequence[np.ndarray] = (),
    box_type: str | None = None,
) -> Outcomes:
    """Tell what became of a frame's boxes, by the matching and the thresholds of the evaluation.

    Labels are missed as at LEVEL_2, where all count that count at all. Of boxes that match with too wrong a heading
    (`min_heading_accuracy`) the metrics count none: no find, no false alarm, no miss.

    Args:
        detections: N boxes in the vehicle frame; labels point into the classes of `config`.
        truth: M labels, likewise.
        config: its evaluation has the matcher, the IoU of each class and the evaluated area.
        cutoffs: (C,) float32 ascending, scores from which on detections are looked at.
        zones: no-label zones, polygons (K, 2) of x and y in the vehicle frame, metres.
        box_type: "3D", "BEV" or "AA_2D"; None for 3D, or what the evaluation compares in its place.

    Returns:
        The outcomes.

    Raises:
        UserError: a class is none of Waymo's, or a box is one that the metrics cannot take.
    """
    detections, truth = detections.numpy(), truth.numpy()
    counted_detections, inside = (_find_inside(rows.box, config) for rows in (detections, truth))
    counted = inside & (np.asarray(truth.num_points) > 0)
    in_zone = find_boxes_in_zones(detections.box, zones)
    boxes = build_evaluation_set(
        [detections[counted_detections]],
        [truth[counted]],
        class_names=config.data.classes,
        no_label_zone=[in_zone[counted_detections]],
        type_names=config.evaluation.metrics.type_names,
    )
    matched = _create_counter(config, cutoffs, box_type).match_first_frame(boxes)
    partner = np.where(np.asarray(detections.score, np.float32) >= cutoffs[:, None], -1, -2)  # (C, N)
    rows = np.append(np.flatnonzero(counted), (-2, -1))  # the last two for negative entries
    left_out = matched <= LEFT_OUT
    partner[:, counted_detections] = np.where(
        left_out, LEFT_OUT - rows[np.where(left_out, LEFT_OUT - matched, 0)], rows[np.where(left_out, 0, matched)]
    )
    return Outcomes(cutoffs, partner, in_zone | ~counted_detections, counted)


def _create_counter(config: Config, cutoffs: np.ndarray, box_type: str | None) -> MatchCounter:
    """Create what matches boxes of one class at some cut-offs, by one comparison."""
    metrics = config.evaluation.metrics
    part = box_type or ("3D" if "3D" in metrics.box_types else metrics.box_types[0])
    changes = {
        "breakdowns": ("OBJECT_TYPE",),
        "box_types": (part,),
        "let": None,
        "score_cutoffs": tuple(cutoffs.tolist()),
    }
    return MatchCounter(metrics.model_copy(update=changes))


def _find_inside(box: np.ndarray, config: Config) -> np.ndarray:
    """Find the boxes (N,) bool whose centre lies in the evaluated area, to its edges."""
    x0, y0, x1, y1 = config.evaluation.within or (-np.inf, -np.inf, np.inf, np.inf)
    x, y = box[:, 0], box[:, 1]
    inside: np.ndarray = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside
