"""Predictions and labelled objects of many frames as two flat tables."""

from __future__ import annotations

from dataclasses import dataclass

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
    image: Column  # (N,) uint8, camera whose image the box lies in; 0 for boxes in the vehicle frame


@dataclass(frozen=True)
class Objects(Rows):
    """Labelled boxes that count, N rows: those without a LiDAR point are gone, every level is decided."""

    frame: Column  # (N,) int64
    box: Column  # (N, 7) float32
    type: Column  # (N,) uint8
    level: Column  # (N,) uint8: 1, 2, or 0 (counts at both)
    speed: Column  # (N, 2) float32, m/s along the world's x and y; NaN where unknown
    image: Column  # (N,) uint8
    camera: Column  # (N,) int8, camera that sees most of it (CameraName); 0 for none, -1 where no label says


@dataclass(frozen=True)
class Problem:
    """What is evaluated: F frames in the order in which ties and sums are settled."""

    predictions: Predictions  # sorted by frame, then as given
    objects: Objects
    frames: tuple[str, ...]
    segments: tuple[str, ...]  # name of each frame's segment, for the bootstrap

    @property
    def num_frames(self) -> int:
        """Frames, those without any box included."""
        return len(self.frames)


def decided_level(annotated: np.ndarray, num_points: np.ndarray) -> np.ndarray:
    """(N,) uint8 difficulty: the annotated level, else LEVEL_2 for at most five LiDAR points, else LEVEL_1."""
    by_points = np.where(num_points <= 5, 2, 1)
    return np.where(annotated > 0, annotated, by_points).astype(np.uint8)
