"""Simple solids that objects are made of: convex blocks, cylinders, ellipsoids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pcdet_poly.simulation.solids.materials import Material

CONVEX, CYLINDER, ELLIPSOID = 0, 1, 2
MAX_PLANES = 10
Vector = Sequence[float] | np.ndarray  # three numbers


@dataclass(frozen=True)
class Shapes:
    """S solids in the frame of the object they belong to: x forward, y left, z up, on the ground at z = 0."""

    kind: np.ndarray  # (S,) int64
    planes: np.ndarray  # (S, MAX_PLANES, 4) float64: inside where n . p <= d; zeros are unused
    center: np.ndarray  # (S, 3) float64, of the solid and of the sphere around it
    size: np.ndarray  # (S, 3) float64: radii of an ellipsoid; radius, half length, 0 of a cylinder
    axis: np.ndarray  # (S, 3) float64, unit, of a cylinder
    radius: np.ndarray  # (S,) float64, of the sphere around the solid
    half_height: np.ndarray  # (S,) float64: how far the solid reaches above and below its centre
    material: np.ndarray  # (S,) int64
    free_path_m: np.ndarray  # (S,) float64: mean depth at which a ray is stopped; 0: at the surface
    glass_z: np.ndarray  # (S, 2) float64: between these heights the surface is glass

    def __len__(self) -> int:
        return len(self.kind)

    @staticmethod
    def join(parts: Sequence[Shapes]) -> Shapes:
        """All solids of `parts`, in order."""
        return Shapes(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Shapes)))

    def take(self, index: np.ndarray) -> Shapes:
        """The solids at `index`."""
        return Shapes(*(getattr(self, field.name)[index] for field in fields(Shapes)))


def block(
    center: Vector,
    size: Vector,
    material: Material,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    free_path_m: float = 0.0,
) -> Shapes:
    """A box. Vectors are in the object's frame, in metres.

    Args:
        center: Its middle, three numbers.
        size: Edge lengths along its own axes, three numbers.
        material: What its surface is made of.
        yaw: Turn about z, radians, after the pitch.
        pitch: Turn about y, radians.
        free_path_m: Mean depth at which a ray is stopped inside; 0 stops it at the surface.

    Returns:
        One solid.
    """
    cp, sp, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    axes = np.array([[cy * cp, sy * cp, -sp], [-sy, cy, 0.0], [cy * sp, sy * sp, cp]])
    normals = np.concatenate([axes, -axes])
    half = np.tile(np.asarray(size, float) / 2, 2)
    planes = np.column_stack([normals, half + normals @ np.asarray(center, float)])
    bounds = float(np.linalg.norm(size) / 2), float(np.abs(axes[:, 2]) @ half[:3])
    return _build_shape(CONVEX, center, bounds, material, planes=planes, free_path_m=free_path_m)


def prism(
    profile: Sequence[tuple[float, float]],
    half_width: tuple[float, float],
    material: Material,
    *,
    glass_z: tuple[float, float] = (0.0, 0.0),
) -> Shapes:
    """A side view pulled across. Lengths are in metres, in the object's frame.

    Args:
        profile: Convex outline (x, z), counter-clockwise seen from the right (-y).
        half_width: Half width at the profile's lowest and at its highest point, linear between, so that a cabin narrows
            towards its roof.
        material: What its surface is made of.
        glass_z: Between these two heights the surface is glass.

    Returns:
        One solid.
    """
    points = np.asarray(profile, float)
    low, high = points[:, 1].min(), points[:, 1].max()
    edges = np.roll(points, -1, axis=0) - points
    normals = np.column_stack([edges[:, 1], np.zeros(len(points)), -edges[:, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    around = np.column_stack([normals, normals[:, 0] * points[:, 0] + normals[:, 2] * points[:, 1]])
    slope = (half_width[0] - half_width[1]) / (high - low)
    lean = np.hypot(1.0, slope)
    sides = np.array([[0, sign, slope, half_width[0] + slope * low] for sign in (1.0, -1.0)]) / lean
    middle = np.array([(points[:, 0].min() + points[:, 0].max()) / 2, 0.0, (low + high) / 2])
    reach = np.abs(points - middle[[0, 2]]).max(axis=0)
    bounds = float(np.linalg.norm([*reach, max(half_width)])), float(high - low) / 2
    return _build_shape(CONVEX, middle, bounds, material, planes=np.concatenate([around, sides]), glass_z=glass_z)


def cylinder(center: Vector, radius: float, length: float, material: Material, *, axis: Vector = (0, 0, 1)) -> Shapes:
    """A closed cylinder. Vectors are in the object's frame, in metres.

    Args:
        center: Its middle, three numbers.
        radius: Its radius.
        length: Its length along `axis`.
        material: What its surface is made of.
        axis: Its direction, three numbers of any length.

    Returns:
        One solid.
    """
    unit = np.asarray(axis, float) / np.linalg.norm(axis)
    bounds = float(np.hypot(radius, length / 2)), float(abs(unit[2]) * length / 2 + radius * np.hypot(*unit[:2]))
    return _build_shape(CYLINDER, center, bounds, material, size=(radius, length / 2, 0.0), axis=unit)


def ellipsoid(center: Vector, radii: Vector, material: Material, *, free_path_m: float = 0.0) -> Shapes:
    """An ellipsoid along the object's axes. Vectors are in the object's frame, in metres.

    Args:
        center: Its middle, three numbers.
        radii: Its half axes along x, y and z.
        material: What its surface is made of.
        free_path_m: Mean depth at which a ray is stopped inside; above 0 it is a cloud of leaves.

    Returns:
        One solid.
    """
    bounds = float(max(radii)), float(radii[2])
    return _build_shape(ELLIPSOID, center, bounds, material, size=radii, free_path_m=free_path_m)


def _build_shape(
    kind: int,
    center: Vector,
    bounds: tuple[float, float],
    material: Material,
    *,
    planes: np.ndarray | None = None,
    size: Vector = (0.0, 0.0, 0.0),
    axis: Vector = (0.0, 0.0, 1.0),
    free_path_m: float = 0.0,
    glass_z: tuple[float, float] = (0.0, 0.0),
) -> Shapes:
    table = np.zeros((1, MAX_PLANES, 4))
    if planes is not None:
        table[0, : len(planes)] = planes
    return Shapes(
        kind=np.array([kind]),
        planes=table,
        center=np.array([center], float),
        size=np.array([size], float),
        axis=np.array([axis], float),
        radius=np.array([bounds[0]]),
        half_height=np.array([bounds[1]]),
        material=np.array([int(material)]),
        free_path_m=np.array([free_path_m]),
        glass_z=np.array([glass_z], float),
    )
