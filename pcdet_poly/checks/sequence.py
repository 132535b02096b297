"""What the frames of one segment must satisfy together: identities, times, the vehicle's way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.structures import Frame

MAX_SWEEP_GAP_US = 1_000_000  # frames this far apart are no sweeps of one drive
_MIN_INTERVAL_US = 1_000  # no LiDAR turns a thousand times a second
_MAX_SPEED_M_S = 100.0  # of a car
_LOOKED_AT = 64  # points, evenly spaced, that two clouds have in common by accident alone if all of them are equal
_JUMP_M = 5.0  # a step that poses may have at any speed


class SequenceCheck:
    """Looks at the frames of one segment in their order."""

    def __init__(self) -> None:
        self._segment: str | None = None
        self._last: tuple[int, np.ndarray] | None = None
        self._seen: set[int] = set()
        self._cloud = b""

    def find_faults(self, frame: Frame) -> Iterator[Finding]:
        """Yield what cannot or should not follow the frames before; a frame with an error is not taken in."""
        if frame.segment != self._segment:  # a reader's mistake, which the writer of segments tells, or a new beginning
            self._segment, self._last = frame.segment, None
            self._seen.clear()
            self._cloud = b""
        if frame.timestamp_us in self._seen:
            yield Finding(
                "same time",
                f"two frames of this segment have the time {frame.timestamp_us} us, and so one name; give each its own "
                "(cut to whole seconds?)",
            )
            return
        if self._last and frame.timestamp_us < self._last[0]:
            yield Finding(
                "backwards",
                f"its time {frame.timestamp_us} us is before that of the frame before it, {self._last[0]} us; "
                "frames go in the order of time",
            )
            return
        if self._last:
            yield from _find_step_faults(frame, *self._last)
        cloud = frame.points[:: max(len(frame.points) // _LOOKED_AT, 1)].tobytes()
        if len(frame.points) > _LOOKED_AT and cloud == self._cloud:
            yield Finding("same cloud", "its points are those of the frame before it: copied?", False)
        self._last, self._cloud = (frame.timestamp_us, frame.world_from_vehicle[:3, 3]), cloud
        self._seen.add(frame.timestamp_us)


def _find_step_faults(frame: Frame, last_us: int, last_place: np.ndarray) -> Iterator[Finding]:
    """Yield oddities of the step from the frame before."""
    interval_us = frame.timestamp_us - last_us
    if interval_us >= MAX_SWEEP_GAP_US:
        text = f"{interval_us / 1e6:g} s after the frame before it; sweeps are not joined over a second or more"
        yield Finding("gap", text, False)
    elif interval_us < _MIN_INTERVAL_US:
        text = f"{interval_us} us after the frame before it: another unit? say which: --timestamp-unit s, ms, us or ns"
        yield Finding("interval", text, False)
    way_m = float(np.linalg.norm(frame.world_from_vehicle[:3, 3] - last_place))
    if way_m > _JUMP_M + _MAX_SPEED_M_S * interval_us / 1e6:
        text = f"the vehicle went {way_m:,.1f} m in {interval_us / 1e6:g} s: are pose and time in metres and seconds?"
        yield Finding("jump", text, False)
