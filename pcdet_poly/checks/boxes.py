"""What boxes must satisfy: finite, in metres, near the vehicle, headings in radians, z up.

Labels, detections and boxes from files go through the same checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pcdet_poly.checks.findings import Finding

MAX_SIZE_M = 100.0  # no road vehicle is longer
MIN_SIZE_M = 0.05  # nothing that is labelled is smaller than this in all three directions
MAX_DISTANCE_M = 1000.0  # no LiDAR on a car sees farther
MAX_HEADING_RAD = 4 * math.pi  # unwrapped headings stay below; headings in degrees do not
_SURE_SPREAD_M = 15.0  # no street has four fifths of its objects in so high a column


@dataclass(frozen=True)
class BoxFault:
    """One way in which boxes (N, 7) cannot be meant."""

    kind: str
    find: Callable[[np.ndarray], np.ndarray]  # -> (N,) bool
    columns: slice  # what is shown of a box
    text: str


BOX_FAULTS = (
    BoxFault(
        "box size",
        lambda box: box[:, 3:6].min(axis=1) <= 0,
        slice(3, 6),
        f"a size that is not in (0, {MAX_SIZE_M:.0f}] m: length, width and height must be positive: another "
        "order than length, width, height, or logarithms?",
    ),
    BoxFault(
        "box size",
        lambda box: (box[:, 3:6].max(axis=1) > MAX_SIZE_M) & (box[:, 3:6].max(axis=1) <= 10 * MAX_SIZE_M),
        slice(3, 6),
        f"a size that is not in (0, {MAX_SIZE_M:.0f}] m: centimetres? sizes are metres",
    ),
    BoxFault(
        "box size",
        lambda box: box[:, 3:6].max(axis=1) > 10 * MAX_SIZE_M,
        slice(3, 6),
        f"a size that is not in (0, {MAX_SIZE_M:.0f}] m: millimetres? sizes are metres",
    ),
    BoxFault(
        "heading",
        lambda box: np.abs(box[:, 6]) > MAX_HEADING_RAD,
        slice(6, 7),
        "a heading beyond two turns: degrees? headings are radians, counter-clockwise from +x",
    ),
    BoxFault(
        "box place",
        lambda box: np.abs(box[:, :3]).max(axis=1) > MAX_DISTANCE_M,
        slice(0, 3),
        f"a centre farther than {MAX_DISTANCE_M:.0f} m: coordinates of the world (UTM) or millimetres? boxes are in "
        "metres in the vehicle frame",
    ),
)


def find_box_faults(box: np.ndarray) -> Iterator[Finding]:
    """Yield what cannot or should not be in boxes (N, 7) of one frame, each kind once, with the first such box."""
    if not len(box):
        return
    if not np.isfinite(box).all():
        yield Finding("box", f"{int((~np.isfinite(box)).any(axis=1).sum())} boxes are not finite; mend or drop them")
        return
    for fault in BOX_FAULTS:
        wrong = fault.find(box)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield Finding(fault.kind, f"box {row}: {list_numbers(box[row, fault.columns])}: {fault.text}")
    yield from _find_oddities(box)


def find_upright_axis(box: np.ndarray) -> Finding | None:
    """Say so where boxes (N, 7) spread along z as they should along the ground; N is 10 or more."""
    low, high = np.percentile(box[:, :3], (10, 90), axis=0)
    x, y, z = high - low
    if not (z > 10 and z > 1.5 * min(x, y)):
        return None
    text = (
        f"boxes spread over {z:.0f} m along z, and {x:.0f} by {y:.0f} m along x and y: boxes of a camera? they are "
        "in the vehicle frame, x forward, y left, z up"
    )
    return Finding("z-axis", text, is_error=bool(z > _SURE_SPREAD_M and z > 3 * min(x, y)))


def list_numbers(values: np.ndarray) -> str:
    """Write numbers with commas between them."""
    return ", ".join(f"{value:g}" for value in values.tolist())


def _find_oddities(box: np.ndarray) -> Iterator[Finding]:
    """Yield what may be meant."""
    size, heading = box[:, 3:6], np.abs(box[:, 6])
    if 2 * math.pi + 1e-3 < heading.max() <= MAX_HEADING_RAD:
        row = int(np.argmax(heading))
        yield Finding("wide heading", f"box {row}: heading {box[row, 6]:g} is beyond a full turn: radians?", False)
    tiny = ((size < MIN_SIZE_M) & (size > 0)).all(axis=1)
    if tiny.any():
        row = int(np.argmax(tiny))
        text = f"box {row}: {list_numbers(size[row])} m is smaller than {100 * MIN_SIZE_M:.0f} cm all around: metres?"
        yield Finding("tiny box", text, False)
    if len(np.unique(box[:, 0])) < len(box) and len(np.unique(box, axis=0)) < len(box):  # the first is quick
        yield Finding("same box", f"{len(box) - len(np.unique(box, axis=0))} boxes are there twice in one frame", False)
