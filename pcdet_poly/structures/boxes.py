"""Tables of boxes: the labels of people, and the detections of a model.

A box is seven numbers (x, y, z, length, width, height, heading): centre in metres in the vehicle
frame (x forward, y left, z up), size in metres along the box's own axes, heading in radians
counter-clockwise from +x. This is the project's only box convention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from pcdet_poly.structures.rows import Column, Rows

# Waymo's Label.Type is 1 + the position in this list. A label is always a 0-based position in a
# class list; frames read from Waymo or from a store use this one.
WAYMO_CLASSES: tuple[str, ...] = ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")


@dataclass(frozen=True)
class GroundTruth(Rows):
    """Labelled objects of one frame, N rows."""

    box: Column  # (N, 7) float32, vehicle frame
    label: Column  # (N,) int64, position in the frame's class list
    level: Column  # (N,) int64, difficulty: 1, 2, or 0 where no person annotated one
    num_points: Column  # (N,) int64, LiDAR points in the box
    track: Column  # (N,) text, the object's id through its segment
    speed: Column  # (N, 2) float32, m/s along the world's x and y; NaN where unknown

    @classmethod
    def empty(cls) -> Self:
        """No objects."""
        return cls(
            box=np.zeros((0, 7), np.float32),
            label=np.zeros(0, np.int64),
            level=np.zeros(0, np.int64),
            num_points=np.zeros(0, np.int64),
            track=np.zeros(0, "<U1"),
            speed=np.zeros((0, 2), np.float32),
        )


@dataclass(frozen=True)
class Detections(Rows):
    """Detected objects of one frame, N rows."""

    box: Column  # (N, 7) float32, vehicle frame
    label: Column  # (N,) int64, position in the model's class list
    score: Column  # (N,) float32 in [0, 1]
    velocity: Column | None = None  # (N, 2) float32, m/s along the vehicle frame's x and y, where the model predicts it

    @classmethod
    def empty(cls) -> Self:
        """No objects."""
        return cls(box=np.zeros((0, 7), np.float32), label=np.zeros(0, np.int64), score=np.zeros(0, np.float32))
