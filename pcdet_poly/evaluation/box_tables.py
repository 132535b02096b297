"""The two sides of an evaluation, predictions and labelled objects of many frames, as flat tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np

from pcdet_poly.structures.rows import Column, Rows


@dataclass(frozen=True)
class Predictions(Rows):
    """Detected boxes, N rows."""

    frame: Column  # (N,) int64, position in the list of frames
    box: Column  # (N, 7) float32 x y z length width height heading
    type: Column  # (N,) uint8, Waymo's Label.Type: 0 unknown, 1 vehicle, 2 pedestrian, 3 sign, 4 cyclist
    score: Column  # (N,) float32
    in_no_label_zone: Column  # (N,) bool
    image: Column  # (N,) uint8, camera (CameraName) whose image the box lies in; 0 for boxes in the vehicle frame

    @classmethod
    def empty(cls) -> Self:
        """Return a table without boxes."""
        return cls(
            frame=np.zeros(0, np.int64),
            box=np.zeros((0, 7), np.float32),
            type=np.zeros(0, np.uint8),
            score=np.zeros(0, np.float32),
            in_no_label_zone=np.zeros(0, bool),
            image=np.zeros(0, np.uint8),
        )


@dataclass(frozen=True)
class Objects(Rows):
    """Labelled boxes that count, N rows: boxes without a LiDAR point are left out, and every level is decided."""

    frame: Column  # (N,) int64
    box: Column  # (N, 7) float32
    type: Column  # (N,) uint8
    level: Column  # (N,) uint8: 1, 2, or 0 (counts at both)
    speed: Column  # (N, 2) float32, m/s along the world's x and y; NaN where unknown
    image: Column  # (N,) uint8
    camera: Column  # (N,) int8, camera that sees most of it (CameraName); 0 for none, -1 where no label says

    @classmethod
    def empty(cls) -> Self:
        """Return a table without boxes."""
        return cls(
            frame=np.zeros(0, np.int64),
            box=np.zeros((0, 7), np.float32),
            type=np.zeros(0, np.uint8),
            level=np.zeros(0, np.uint8),
            speed=np.zeros((0, 2), np.float32),
            image=np.zeros(0, np.uint8),
            camera=np.zeros(0, np.int8),
        )


BoxTable = Predictions | Objects
AnyTable = TypeVar("AnyTable", Predictions, Objects)


@dataclass(frozen=True)
class EvaluationSide(Generic[AnyTable]):
    """One side of an evaluation: rows in any order, whose `frame` points into `frames`."""

    rows: AnyTable
    frames: tuple[str, ...]  # ids, "segment/timestamp"

    def renumber_frames(self, position: dict[str, int]) -> AnyTable:
        """Return the rows with frames numbered by `position`, sorted by frame; rows of a frame keep their order."""
        number = np.array([position[frame] for frame in self.frames], np.int64)
        frame = number[self.rows.frame] if len(number) else self.rows.frame
        order = np.argsort(frame, kind="stable")
        return replace(self.rows, frame=frame)[order]


@dataclass(frozen=True)
class EvaluationSet:
    """What is evaluated: F frames and the boxes of both sides."""

    predictions: Predictions  # sorted by frame, then as given
    objects: Objects  # sorted by frame, then as given
    frames: tuple[str, ...]
    segments: tuple[str, ...]  # name of each frame's segment, for the bootstrap

    @classmethod
    def empty(cls) -> Self:
        """Return a set without frames."""
        return cls(Predictions.empty(), Objects.empty(), (), ())

    @property
    def num_frames(self) -> int:
        """Number of frames, those without any box included."""
        return len(self.frames)

    @classmethod
    def join(cls, predictions: EvaluationSide[Predictions], objects: EvaluationSide[Objects]) -> Self:
        """Join the two sides by the ids of their frames.

        The set has the frames of either side in the order of their ids. A frame that one side lacks is empty on
        that side, as in Waymo's tool.
        """
        frames = tuple(sorted({*predictions.frames, *objects.frames}))
        position = {frame: i for i, frame in enumerate(frames)}
        segments = tuple(frame.rpartition("/")[0] for frame in frames)
        return cls(predictions.renumber_frames(position), objects.renumber_frames(position), frames, segments)


def decide_level(annotated: np.ndarray, num_points: np.ndarray) -> np.ndarray:
    """Return the difficulty of objects: the annotated level, else LEVEL_2 for at most five points, else LEVEL_1.

    Args:
        annotated: (N,) level that a person gave: 1, 2, or 0 for none.
        num_points: (N,) LiDAR points in each box.

    Returns:
        (N,) uint8, 1 or 2.
    """
    by_points = np.where(num_points <= 5, 2, 1)
    return np.where(annotated > 0, annotated, by_points).astype(np.uint8)
