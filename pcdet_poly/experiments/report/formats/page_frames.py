"""Shown frames -> what the page's scripts read of them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from pcdet_poly.experiments.report.shown_frames import ArmView, ShownFrame

_CM = 100  # points are whole centimetres in int16: +-327 m


def build_frame(frame: ShownFrame) -> dict[str, Any]:
    """Build one frame's entry: points as base64, boxes as lists of numbers."""
    points = np.round(frame.points * _CM).clip(-32767, 32767).astype("<i2")
    return {
        "frame": frame.frame_id,
        "points": base64.b64encode(points.tobytes()).decode(),
        "labels": [[*_round_box(box), int(k)] for box, k in zip(frame.labels.box, frame.labels.label, strict=True)],
        "arms": {arm: _build_view(view) for arm, view in frame.arms.items()},
    }


def _build_view(view: ArmView) -> dict[str, Any]:
    d = view.detections
    return {
        "seed": view.seed,
        "found": view.found.tolist(),
        "detections": [
            [*_round_box(box), int(label), round(float(score), 2), int(outcome)]
            for box, label, score, outcome in zip(d.box, d.label, d.score, view.outcome, strict=True)
        ],
    }


def _round_box(box: np.ndarray) -> list[float]:
    return [round(float(value), 2) for value in box]
