"""Houses, blocks and walls beside the street, as meshes."""

from __future__ import annotations

import numpy as np

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.mesh import Mesh, build_box_mesh
from pcdet_poly.simulation.street.course import Street


def build_house(rng: np.random.Generator, street: Street, s: float, d: float, size: tuple[float, float, float]) -> Mesh:
    """Build a house, block or shop with a front towards the street.

    Its front has a ledge per storey and piers between windows of glass that lie deeper.

    Args:
        rng: Source of every random choice.
        street: The street, which fixes the street coordinates.
        s: Its middle along the street, metres.
        d: Its middle to the left of the centre line, metres.
        size: Edge lengths along s, along d and up, metres.

    Returns:
        The mesh, world frame.
    """
    along, deep, high = size
    base = street.position(s, d) - [0, 0, 1.0]
    yaw = float(street.heading(s))
    toward = -np.sign(d)  # the front faces the street
    parts = [build_box_mesh(base, yaw, (along, deep, high + 1), Material.FACADE)]
    front = deep / 2 * toward
    storey = rng.uniform(2.9, 3.8)
    bay = rng.uniform(2.0, 4.5)
    piers = np.arange(-along / 2 + bay / 2, along / 2, bay)
    pane = (bay * rng.uniform(0.45, 0.75), 0.04, storey * rng.uniform(0.4, 0.65))
    for level in range(min(int(high / storey), 3)):
        bottom = 1 + level * storey + (storey - pane[2]) / 2
        if level:
            parts.append(_attach_box(base, yaw, (0.0, front, 1 + level * storey), (along, 0.3, 0.25), Material.FACADE))
        parts += [_attach_box(base, yaw, (x, front, bottom), pane, Material.WINDOW) for x in piers]
    pier = (bay * rng.uniform(0.12, 0.25), 0.5, high + 1)
    parts += [_attach_box(base, yaw, (x + bay / 2, front, 0.0), pier, Material.FACADE) for x in piers]
    if rng.random() < 0.4:
        awning = (along * 0.6, rng.uniform(1.0, 2.0), 0.15)
        parts.append(_attach_box(base, yaw, (0.0, front + toward * awning[1] / 2, 4.0), awning, Material.PLASTIC))
    return Mesh.join(parts)


def build_wall(street: Street, s: float, d: float, *, length_m: float, height_m: float) -> Mesh:
    """Build a wall or solid fence along the street, 0.2 m thick.

    Args:
        street: The street, which fixes the street coordinates.
        s: Its middle along the street, metres.
        d: Its middle to the left of the centre line, metres.
        length_m: Its length along the street.
        height_m: Its height above the ground.

    Returns:
        The mesh, world frame.
    """
    base = street.position(s, d) - [0, 0, 0.5]
    return build_box_mesh(base, float(street.heading(s)), (length_m, 0.2, height_m + 0.5), Material.WOOD)


def _attach_box(
    base: np.ndarray, yaw: float, at: tuple[float, float, float], size: tuple[float, float, float], material: Material
) -> Mesh:
    """A box at `at` in the building's own axes."""
    c, s = np.cos(yaw), np.sin(yaw)
    place = base + np.array([at[0] * c - at[1] * s, at[0] * s + at[1] * c, at[2]])
    return build_box_mesh(place, yaw, size, material)
