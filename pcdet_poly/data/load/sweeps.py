"""Joins consecutive sweeps into one frame with the points of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcdet_poly.checks.sequence import MAX_SWEEP_GAP_US
from pcdet_poly.data.load.augment import transform_points
from pcdet_poly.structures import Frame

AGE = "age"  # column: seconds from the point's sweep to the frame's own, for which it is 0


def drop_before_gap(frame: Frame, past: Sequence[Frame]) -> list[Frame]:
    """Keep the `past` frames, the nearest first, up to the first gap that is no pause between two sweeps."""
    kept, later_us = [], frame.timestamp_us
    for sweep in past:
        if later_us - sweep.timestamp_us >= MAX_SWEEP_GAP_US:
            break
        kept.append(sweep)
        later_us = sweep.timestamp_us
    return kept


def add_past_sweeps(frame: Frame, past: Sequence[Frame]) -> Frame:
    """Append the points of `past` frames of the same segment, and the column `AGE`.

    Past points are moved into the vehicle frame of `frame` by the poses of both, so that objects at rest
    in the world stay in place, while moving objects leave a trail. Poses are float64, so that differences
    of world coordinates of 20 km stay exact. A gap of a second or more ends the sweeps: what is before it is left out.
    """
    past = drop_before_gap(frame, past)
    vehicle_from_world = np.linalg.inv(frame.world_from_vehicle)
    points = np.empty((sum(len(f.points) for f in (frame, *past)), len(frame.columns) + 1), np.float32)
    start = 0
    for sweep in (frame, *past):
        if sweep.columns != frame.columns:
            raise ValueError(f"add_past_sweeps: columns {sweep.columns} of {sweep.frame_id}, {frame.columns} expected")
        rows = points[start : start + len(sweep.points)]
        rows[:, :-1] = sweep.points
        rows[:, -1] = (frame.timestamp_us - sweep.timestamp_us) * 1e-6
        if sweep is not frame:
            rows[:, :3] = transform_points(vehicle_from_world @ sweep.world_from_vehicle, sweep.points[:, :3])
        start += len(rows)
    return replace(frame, points=points, columns=(*frame.columns, AGE))
