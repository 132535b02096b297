"""What boxes must satisfy: finite, in metres, near the vehicle, headings in radians.

Labels, detections and boxes from files go through the same checks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pcdet_poly.checks.findings import Finding

MAX_SIZE_M = 100.0  # no road vehicle is longer
MIN_SIZE_M = 0.05  # nothing that is labelled is smaller than this in all three directions
MAX_DISTANCE_M = 1000.0  # no LiDAR on a car sees farther
MAX_HEADING_RAD = 4 * math.pi  # unwrapped headings stay below; headings in degrees do not


def find_box_faults(box: np.ndarray) -> Iterator[Finding]:
    """Yield what cannot or should not be in boxes (N, 7) of one frame, each kind once, with the first such box."""
    if not len(box):
        return
    if not np.isfinite(box).all():
        yield Finding("box", f"{int((~np.isfinite(box)).any(axis=1).sum())} boxes are not finite; mend or drop them")
        return
    size, heading, distance = box[:, 3:6], np.abs(box[:, 6]), np.abs(box[:, :3]).max(axis=1)
    wrong = np.any((size <= 0) | (size > MAX_SIZE_M), axis=1)
    if wrong.any():
        yield Finding("box size", _describe_size(size, wrong))
    if heading.max() > MAX_HEADING_RAD:
        row = int(np.argmax(heading > MAX_HEADING_RAD))
        yield Finding(
            "heading",
            f"box {row}: heading {box[row, 6]:g}: degrees? headings are radians, counter-clockwise from +x",
        )
    elif heading.max() > 2 * math.pi + 1e-3:
        row = int(np.argmax(heading))
        yield Finding("wide heading", f"box {row}: heading {box[row, 6]:g} is beyond a full turn: radians?", False)
    if distance.max() > MAX_DISTANCE_M:
        row = int(np.argmax(distance > MAX_DISTANCE_M))
        yield Finding(
            "box place",
            f"box {row}: its centre {_list_numbers(box[row, :3])} is farther than {MAX_DISTANCE_M:.0f} m: coordinates "
            "of the world (UTM) or millimetres? boxes are in metres in the vehicle frame",
        )
    tiny = (size < MIN_SIZE_M).all(axis=1) & ~wrong
    if tiny.any():
        row = int(np.argmax(tiny))
        text = f"box {row}: {_list_numbers(size[row])} m is smaller than {100 * MIN_SIZE_M:.0f} cm all around: metres?"
        yield Finding("tiny box", text, False)
    if len(np.unique(box, axis=0)) < len(box):
        yield Finding("same box", f"{len(box) - len(np.unique(box, axis=0))} boxes are there twice in one frame", False)


def _describe_size(size: np.ndarray, wrong: np.ndarray) -> str:
    row = int(np.argmax(wrong))
    text = f"box {row}: {_list_numbers(size[row])}: a size that is not in (0, {MAX_SIZE_M:.0f}] m"
    if (size[row] > 0).all():
        return f"{text}: {'millimetres' if size[row].max() > 10 * MAX_SIZE_M else 'centimetres'}? sizes are metres"
    return f"{text}; length, width and height must be positive: mend or drop the box"


def _list_numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values.tolist())
