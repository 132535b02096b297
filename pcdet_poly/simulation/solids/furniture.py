"""What stands beside a street: signs, poles, trees, bushes, fences, bins."""

from __future__ import annotations

import numpy as np

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.shapes import Shapes, block, cylinder, ellipsoid
from pcdet_poly.simulation.solids.vehicles import Size

_PIECE_M = 2.5


def build_sign_plate(rng: np.random.Generator) -> tuple[Shapes, Size, float]:
    """A traffic sign facing +x: plate, its label size, and the height of its lower edge."""
    wide, high = float(rng.uniform(0.3, 0.85)), float(rng.uniform(0.3, 0.95))
    bottom = float(rng.uniform(1.9, 2.6))
    face = block((0.015, 0, bottom + high / 2), (0.03, wide, high), Material.SIGN_FACE)
    back = block((-0.015, 0, bottom + high / 2), (0.03, wide, high), Material.METAL)
    return Shapes.join([face, back]), (0.12, wide + 0.04, high + 0.04), bottom - 0.02


def build_pole(height: float, radius: float) -> Shapes:
    """A round metal pole."""
    return cylinder((0, 0, height / 2), radius, height, Material.METAL)


def build_street_lamp(rng: np.random.Generator) -> Shapes:
    """A tall pole with an arm over the road (+x)."""
    height = float(rng.uniform(6, 8))
    arm = block((0.9, 0, height - 0.1), (1.9, 0.1, 0.12), Material.METAL)
    return Shapes.join([build_pole(height, float(rng.uniform(0.09, 0.14))), arm])


def build_traffic_light(rng: np.random.Generator) -> Shapes:
    """A pole with a signal head, facing +x."""
    head = block((0.15, 0, 2.9), (0.25, 0.35, 0.95), Material.PLASTIC)
    return Shapes.join([build_pole(3.5, 0.08), head])


def build_tree(rng: np.random.Generator) -> Shapes:
    """Trunk and a crown of overlapping clouds of leaves."""
    trunk = float(rng.uniform(1.8, 3.2))
    crown = float(rng.uniform(1.2, 2.6))
    parts = [cylinder((0, 0, trunk / 2), float(rng.uniform(0.10, 0.24)), trunk + 1.0, Material.WOOD)]
    for _ in range(int(rng.integers(2, 5))):
        x, y, z = rng.normal(0, 0.45, 3) * crown
        radii = rng.uniform(0.55, 1.0, 3) * crown
        middle = (x, y, trunk + crown * 0.7 + abs(z))
        parts.append(ellipsoid(middle, radii, Material.LEAVES, free_path_m=float(rng.uniform(0.4, 1.2))))
    return Shapes.join(parts)


def build_bush(rng: np.random.Generator) -> Shapes:
    """A low cloud of leaves."""
    radii = rng.uniform((0.4, 0.4, 0.4), (1.1, 1.1, 0.9))
    return ellipsoid((0, 0, radii[2] * 0.6), radii, Material.LEAVES, free_path_m=float(rng.uniform(0.12, 0.4)))


def build_hedge(rng: np.random.Generator, length_m: float) -> Shapes:
    """A dense hedge along x."""
    deep, high, free_path = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.8, 1.8)), float(rng.uniform(0.08, 0.2))
    return Shapes.join(
        [
            block((x, 0, high / 2), (piece, deep, high), Material.LEAVES, free_path_m=free_path)
            for x, piece in _split_length(length_m)
        ]
    )


def build_fence(rng: np.random.Generator, length_m: float) -> Shapes:
    """A fence along x that lets part of the light through, with posts."""
    high, free_path = float(rng.uniform(1.0, 2.0)), float(rng.uniform(0.05, 0.2))
    parts = []
    for x, piece in _split_length(length_m):
        parts.append(block((x, 0, high / 2), (piece, 0.06, high), Material.METAL, free_path_m=free_path))
        parts.append(cylinder((x - piece / 2, 0, high / 2), 0.04, high, Material.METAL))
    return Shapes.join(parts)


def _split_length(length_m: float) -> list[tuple[float, float]]:
    """Middles and lengths of short pieces: a solid is bounded by a sphere, so a long one would meet every ray."""
    number = max(round(length_m / _PIECE_M), 1)
    piece = length_m / number
    return [((k + 0.5) * piece - length_m / 2, piece) for k in range(number)]


def build_bin_or_cabinet(rng: np.random.Generator) -> Shapes:
    """A litter bin, hydrant or cabinet."""
    size = rng.uniform((0.3, 0.3, 0.6), (0.7, 0.9, 1.4))
    if rng.random() < 0.5:
        return cylinder((0, 0, size[2] / 2), size[0] / 2, size[2], Material.METAL)
    return block((0, 0, size[2] / 2), size, Material.METAL)
