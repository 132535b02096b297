"""One frame -> who matches whom, at every score cut-off; the counts are what `count_frames` adds up of the same."""

from __future__ import annotations

import numpy as np

from pcdet_poly.evaluation.kernels.frame_counts import FrameTables, MatchRules, build_graph
from pcdet_poly.evaluation.kernels.hungarian_matching import match_as_official
from pcdet_poly.evaluation.kernels.outcome_counts import (
    NOT_COUNTED,
    UNMATCHED,
    MatchGraph,
    mark_entered_cutoffs,
    select_group_objects,
    select_group_predictions,
)
from pcdet_poly.evaluation.kernels.overlap import find_overlapping_pairs, prepare_boxes
from pcdet_poly.evaluation.kernels.score_first_matching import iou_matrix, match_by_score_first
from pcdet_poly.ops.compiler.kernel import kernel

LEFT_OUT = -3  # and below: a match whose heading is too wrong for it to count


@kernel
def match_frame(
    tables: FrameTables, box_type: int, rules: MatchRules, score: np.ndarray | None, num_cutoffs: int
) -> np.ndarray:
    """Match the boxes of one frame within the groups of its first grouping, by the plain overlap.

    Args:
        tables: the frame's boxes and their groupings.
        box_type: BOX_3D, BOX_BEV or BOX_AA_2D.
        rules: when a pair may match.
        score: (P,) float32 of the predictions for the score-first matcher; None for the Hungarian one.
        num_cutoffs: number of cut-offs, C.

    Returns:
        (C, P) int64: at each cut-off the object of each prediction, UNMATCHED, LEFT_OUT less the object,
        or NOT_COUNTED below the cut-off.
    """
    boxes = prepare_boxes(tables.prediction_box, tables.prediction_type)
    object_boxes = prepare_boxes(tables.object_box, tables.object_type)
    pairs = find_overlapping_pairs(boxes, object_boxes, box_type, rules.min_pair_iou)
    graph = build_graph(pairs, boxes, object_boxes, tables.predictions[0], tables.objects[0], rules)
    num_groups, matched = 0, np.full((num_cutoffs, len(boxes)), NOT_COUNTED)
    for pred in range(len(boxes)):
        num_groups = max(num_groups, graph.predictions[pred].group + 1)
    for group in range(num_groups):
        enters = mark_entered_cutoffs(graph, group, num_cutoffs)
        edges = np.full(len(boxes), NOT_COUNTED)
        for cutoff in range(num_cutoffs - 1, -1, -1):
            if enters[cutoff]:
                if score is None:
                    match_as_official(graph, group, cutoff, edges)
                else:
                    rows, objects = select_group_predictions(graph, group, cutoff), select_group_objects(graph, group)
                    iou = iou_matrix(pairs, len(boxes), len(object_boxes))
                    edges[rows] = match_by_score_first(graph, rows, objects, score, iou)
            _note_objects(matched[cutoff], graph, edges)
    return matched


@kernel
def _note_objects(matched: np.ndarray, graph: MatchGraph, edges: np.ndarray) -> None:
    """Write the object of each edge (P,) into `matched` (P,), and UNMATCHED where that is the edge.

    The object of a match that is left out for its heading is LEFT_OUT less its position.
    """
    for pred in range(len(edges)):
        if edges[pred] >= 0:
            edge = graph.edges[edges[pred]]
            matched[pred] = edge.object if edge.heading >= 0 else LEFT_OUT - edge.object
        elif edges[pred] == UNMATCHED:
            matched[pred] = UNMATCHED
