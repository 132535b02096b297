"""What a frame's labels must satisfy besides their boxes: known classes, levels, point counts, one track once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import GroundTruth

_MAX_SPEED_M_S = 150.0  # no road vehicle is faster


def find_label_faults(objects: GroundTruth, class_names: Sequence[str]) -> Iterator[Finding]:
    """Yield what cannot or should not be in the labels of one frame.

    Args:
        objects: the labels.
        class_names: what `objects.label` points into.
    """
    if not len(objects):
        return
    if ((objects.label < 0) | (objects.label >= len(class_names))).any():
        yield Finding("label", f"a label outside its {len(class_names)} classes")
    if ((objects.level < 0) | (objects.level > 2)).any():
        yield Finding("level", f"a difficulty level of {_pick_outside(objects.level, 0, 2)}, which is not 0, 1 or 2")
    if (objects.num_points < 0).any():
        yield Finding(
            "point count",
            f"a negative number of points, {objects.num_points.min()}: not counted? leave num_points out, and the "
            "points in each box are counted",
        )
    speed = objects.speed
    if np.isinf(speed).any() or bool((np.abs(speed) > _MAX_SPEED_M_S).any()):
        text = f"an object with a speed of {np.nanmax(np.abs(speed)):g} m/s: metres per second along the world's axes?"
        yield Finding("speed", text, bool(np.isinf(speed).any()))
    tracks = objects.track[objects.track != ""]
    if len(np.unique(tracks)) < len(tracks):
        names, counts = np.unique(tracks, return_counts=True)
        text = f"track {names[np.argmax(counts)]} is there {counts.max()} times in one frame"
        yield Finding("same track", text, False)


def _pick_outside(values: np.ndarray, low: int, high: int) -> int:
    return int(values[np.argmax((values < low) | (values > high))])
