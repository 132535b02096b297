"""Triangle meshes of what does not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.solids.materials import Material

_BOX_CORNERS = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], float) - [0.5, 0.5, 0.0]
_BOX_QUADS = np.array([[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]])


@dataclass(frozen=True)
class Mesh:
    """Triangles with a material each."""

    vertices: np.ndarray  # (N, 3) float64, world frame
    triangles: np.ndarray  # (T, 3) int64
    material: np.ndarray  # (T,) int64

    @staticmethod
    def join(parts: Sequence[Mesh]) -> Mesh:
        """All triangles of `parts`."""
        starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        return Mesh(
            np.concatenate([part.vertices for part in parts]),
            np.concatenate([part.triangles + start for part, start in zip(parts, starts[:-1], strict=True)]),
            np.concatenate([part.material for part in parts]),
        )


def build_quad_mesh(vertices: np.ndarray, quads: np.ndarray, material: np.ndarray) -> Mesh:
    """Split quads into two triangles each.

    Args:
        vertices: (N, 3) float64 corners, world frame, metres.
        quads: (Q, 4) indices of corners, in order around each quad.
        material: (Q,) Material of each quad.

    Returns:
        The mesh of 2 Q triangles.
    """
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Mesh(vertices, triangles, np.tile(material, 2))


def build_box_mesh(base: np.ndarray, yaw: float, size: Sequence[float], material: Material) -> Mesh:
    """Build a box that stands on the ground.

    Args:
        base: (3,) middle of its floor, world frame, metres.
        yaw: Its heading, radians counter-clockwise from +x.
        size: Edge lengths along its own axes, metres: length, width, height.
        material: The material of all its sides.

    Returns:
        The mesh of its 12 triangles.
    """
    corners = _BOX_CORNERS * np.asarray(size, float)
    c, s = np.cos(yaw), np.sin(yaw)
    turned = corners @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return build_quad_mesh(turned + base, _BOX_QUADS, np.full(6, int(material)))
