"""Views -> one HTML page that needs nothing else: styles, scripts and data stand in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.ops.cpu.points_in_boxes import count_points
from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.html import html_page
from pcdet_poly.visualization.viewer.colours import HIGHEST_M, LABEL_COLOUR, LOWEST_M, MODES, Mode, codes, palette
from pcdet_poly.visualization.viewer.view import View, Views

_CM = 100  # points are whole centimetres in int16: +-327 m
_BYTES_PER_POINT = (3 * 2 + len(MODES)) * 4 / 3  # in base64
_BUDGET_BYTES = 12_000_000  # for the points of all frames
_MOST_POINTS, _LEAST_POINTS = 80_000, 5_000  # per frame
MOST_FRAMES = int(_BUDGET_BYTES / _BYTES_PER_POINT / _LEAST_POINTS)


def page(views: Views, chosen: Sequence[int], *, mode: Mode, min_score: float) -> str:
    """The HTML text for the frames at the positions `chosen`. Points are thinned out so that it stays under 15 MB."""
    if len(chosen) > MOST_FRAMES:
        raise UserError(f"--frames: {len(chosen)} frames in one page; choose at most {MOST_FRAMES}")
    data = _data(views, chosen, mode, min_score)
    return html_page("pcdet_poly.visualization.viewer", ["viewer.js"], title=views.title, data=data)


def _data(views: Views, chosen: Sequence[int], mode: Mode, min_score: float) -> dict[str, Any]:
    num_points = min(_MOST_POINTS, int(_BUDGET_BYTES / _BYTES_PER_POINT / len(chosen)))
    frames, last = [], None
    for last in map(views.at, chosen):  # one in memory at a time
        frames.append(_frame(last, num_points))
    assert last is not None
    return {
        "title": views.title,
        "classes": last.class_names,
        "detects": last.detections is not None,
        "mode": mode,
        "modes": MODES,
        "score": min_score,
        "labelColour": LABEL_COLOUR,
        "heights": (LOWEST_M, HIGHEST_M),
        "palettes": {name: _packed(palette(name)) for name in MODES},
        "frames": frames,
    }


def _frame(view: View, num_points: int) -> dict[str, Any]:
    kept = np.sort(np.random.default_rng(0).permutation(len(view.xyz))[:num_points])
    return {
        "id": view.frame_id,
        "total": len(view.xyz),
        "points": _packed(np.round(view.xyz[kept] * _CM).clip(-32767, 32767).astype("<i2")),
        "codes": {mode: _packed(codes(view, mode)[kept]) for mode in MODES},
        "labels": list(_rows(view, view.labels)),
        "detections": None if view.detections is None else list(_rows(view, view.detections)),
    }


def _rows(view: View, boxes: GroundTruth | Detections) -> Iterator[list[float]]:
    """A box's seven numbers, its class, the points in it, and the score of a detection."""
    points = count_points(view.xyz, boxes.box).tolist()
    for i, (box, label) in enumerate(zip(boxes.box.tolist(), boxes.label.tolist(), strict=True)):
        score = [round(float(boxes.score[i]), 3)] if isinstance(boxes, Detections) else []
        yield [*(round(value, 3) for value in box), label, points[i], *score]


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
