"""Rays of a LiDAR in the world, and what they hit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcdet_poly.ops.compiler.kernel import kernel
from pcdet_poly.simulation.lidar.sensor import Lidar

NOTHING = -1  # owner of ground and buildings


@dataclass(frozen=True)
class Beams:
    """Where the columns of a LiDAR are when they fire, world frame."""

    lidar: Lidar
    origin: np.ndarray  # (W, 3) float64
    world_from_lidar: np.ndarray  # (W, 3, 3) float64

    def compute_directions(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """(P, 3) float64 unit vectors in the world frame of the pixels at `row`, `column` (P,)."""
        lidar = self.lidar
        return _compute_directions(row, column, lidar.inclination_rad, lidar.azimuth_rad, self.world_from_lidar)


@dataclass(frozen=True)
class Hits:
    """The nearest and the second nearest surface along every ray, H x W pixels."""

    range_m: np.ndarray  # (2, H, W) float64; inf: nothing there
    cosine: np.ndarray  # (2, H, W) float32, of incidence
    material: np.ndarray  # (2, H, W) int8
    owner: np.ndarray  # (2, H, W) int32: object id, or NOTHING

    @staticmethod
    def empty(shape: tuple[int, int]) -> Hits:
        """Hits of rays that all go into the open sky."""
        full = (2, *shape)
        return Hits(
            range_m=np.full(full, np.inf),
            cosine=np.zeros(full, np.float32),
            material=np.zeros(full, np.int8),
            owner=np.full(full, NOTHING, np.int32),
        )


@kernel
def _compute_directions(
    row: np.ndarray, column: np.ndarray, inclination: np.ndarray, azimuth: np.ndarray, world_from_lidar: np.ndarray
) -> np.ndarray:
    directions = np.empty((len(row), 3))
    for p in range(len(row)):
        i, j = row[p], column[p]
        flat = math.cos(inclination[i])
        x, y, z = math.cos(azimuth[j]) * flat, math.sin(azimuth[j]) * flat, math.sin(inclination[i])
        for k in range(3):
            turn = world_from_lidar[j, k]
            directions[p, k] = turn[0] * x + turn[1] * y + turn[2] * z
    return directions
