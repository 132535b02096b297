"""Views -> one HTML page that needs nothing else: styles, scripts and data stand in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.ops.arrays.points_in_boxes import count_points
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.html import build_html_page
from pcdet_poly.visualization.palette import OUTCOME_COLOURS, choose_class_letters
from pcdet_poly.visualization.viewer.colours import (
    COLOUR_MODES,
    HIGHEST_M,
    LABEL_COLOUR,
    LOWEST_M,
    ColourMode,
    build_palette,
    compute_colour_codes,
)
from pcdet_poly.visualization.viewer.outcomes import LEFT_OUT, SCORE_STEP, Outcomes, list_cutoffs_from
from pcdet_poly.visualization.viewer.view import View, ViewSource

_CM = 100  # points are whole centimetres in int16: +-327 m
_CODED_MODES = tuple(mode for mode in COLOUR_MODES if mode != "height")  # the page sees the height of a point itself
_BYTES_PER_POINT = (3 * 2 + len(_CODED_MODES)) * 4 / 3  # in base64
_BUDGET_BYTES = 12_000_000  # for the points of all frames
_MOST_POINTS, _LEAST_POINTS = 80_000, 5_000  # per frame
MOST_FRAMES = int(_BUDGET_BYTES / _BYTES_PER_POINT / _LEAST_POINTS)


def build_page(views: ViewSource, chosen: Sequence[int], *, mode: ColourMode, min_score: float) -> str:
    """Build the page of some frames. Points are thinned out so that it stays under 15 MB.

    Args:
        views: where the frames come from.
        chosen: their positions among all frames.
        mode: how points and boxes are coloured at first.
        min_score: where the slider of scores stands at first.

    Returns:
        The HTML text.

    Raises:
        UserError: so many frames do not fit into a page.
    """
    if len(chosen) > MOST_FRAMES:
        raise UserError(f"--frames: {len(chosen)} frames in one page; choose at most {MOST_FRAMES}")
    data = _build_data(views, chosen, mode, min_score)
    return build_html_page("pcdet_poly.visualization.viewer", ["viewer.js"], title=views.title, data=data)


def _build_data(views: ViewSource, chosen: Sequence[int], mode: ColourMode, min_score: float) -> dict[str, Any]:
    """Return what the page's script reads; the keys are those in viewer.js."""
    num_points = min(_MOST_POINTS, int(_BUDGET_BYTES / _BYTES_PER_POINT / len(chosen)))
    frames, last = [], None
    for last in map(views.load_view, chosen):  # one in memory at a time
        frames.append(_describe_frame(last, num_points, min_score))
    assert last is not None
    return {
        "title": views.title,
        "classes": last.class_names,
        "letters": choose_class_letters(last.class_names),
        "outcomes": OUTCOME_COLOURS,
        "detects": last.detections is not None,
        "judges": last.outcomes is not None,
        "mode": mode,
        "modes": COLOUR_MODES,
        "score": min_score,
        "scoreStep": SCORE_STEP,
        "labelColour": LABEL_COLOUR,
        "heights": (LOWEST_M, HIGHEST_M),
        "palettes": {name: _encode_base64(build_palette(name, last.class_names)) for name in COLOUR_MODES},
        "frames": frames,
    }


def _describe_frame(view: View, num_points: int, min_score: float) -> dict[str, Any]:
    """Return one frame, with at most `num_points` of its points; `min_score` is where the slider begins."""
    kept = np.sort(np.random.default_rng(0).permutation(len(view.xyz))[:num_points])
    return {
        "id": view.frame_id,
        "total": len(view.xyz),
        "points": _encode_base64(np.round(view.xyz[kept] * _CM).clip(-32767, 32767).astype("<i2")),
        "codes": {mode: _encode_codes(compute_colour_codes(view, mode)[kept]) for mode in _CODED_MODES},
        "labels": list(_list_boxes(view, view.labels)),
        "zones": [np.round(zone, 2).tolist() for zone in view.zones],
        "detections": None if view.detections is None else list(_list_boxes(view, view.detections)),
        "steps": None if view.detections is None else _count_steps(view.detections, min_score),
        "outcomes": None if view.outcomes is None else _describe_outcomes(view.outcomes),
    }


def _count_steps(detections: Detections, min_score: float) -> list[int]:
    """Return the last position of the slider at which each detection is shown."""
    cutoffs = list_cutoffs_from(min_score)
    return (np.searchsorted(cutoffs, np.asarray(detections.score, np.float32), side="right") - 1).tolist()


def _describe_outcomes(outcomes: Outcomes) -> dict[str, Any]:
    """Return who matches whom at every position of the slider, and what does not count."""
    return {
        "changes": outcomes.list_changes(),
        "ignored": outcomes.ignored.astype(int).tolist(),
        "counted": outcomes.counted.astype(int).tolist(),
        "leftOut": LEFT_OUT,
    }


def _list_boxes(view: View, boxes: GroundTruth | Detections) -> Iterator[list[float]]:
    """Yield each box's seven numbers, its class, the points in it, and the score of a detection."""
    points = count_points(view.xyz, boxes.box).tolist()
    for i, (box, label) in enumerate(zip(boxes.box.tolist(), boxes.label.tolist(), strict=True)):
        score = [round(float(boxes.score[i]), 3)] if isinstance(boxes, Detections) else []
        yield [*(round(value, 3) for value in box), label, points[i], *score]


def _encode_codes(codes: np.ndarray) -> str | int:
    """Return the codes (P,) uint8 as text; one number where all are alike, as scores without a detector are."""
    return int(codes[0]) if len(codes) and (codes == codes[0]).all() else _encode_base64(codes)


def _encode_base64(values: np.ndarray) -> str:
    """Return the bytes of an array as text."""
    return base64.b64encode(values.tobytes()).decode()
