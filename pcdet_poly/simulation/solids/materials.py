"""How strongly surfaces answer a laser pulse.

Intensities are raw, as in Waymo's range images; medians and spreads were set by comparing with
real frames (docs/simulation.md): median 0.10, one point in a hundred above 1, retroreflectors up to
1.4e5.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np


class Material(IntEnum):
    """Kinds of surface."""

    ASPHALT = 0
    PAINT_LINE = 1
    CONCRETE = 2
    GRASS = 3
    FACADE = 4
    GLASS = 5
    CAR_PAINT = 6
    RUBBER = 7
    RETRO = 8
    SIGN_FACE = 9
    METAL = 10
    CLOTH = 11
    SKIN = 12
    LEAVES = 13
    WOOD = 14
    PLASTIC = 15
    WINDOW = 16  # of a building: blinds and rooms behind it answer too


class Reflection(NamedTuple):
    """Answer of one material. The order is that of the columns of `reflection_table`."""

    intensity: float  # raw, median, seen straight on
    spread: float  # of its logarithm, per point
    tinted: bool  # whether an object's own tint scales it
    glance: float  # 0: as bright at a glancing angle; 1: falls with the cosine
    passes: float  # share of pulses that give no return at all
    elongation: float  # mean of the pulse's stretch, raw


REFLECTIONS: dict[Material, Reflection] = {
    Material.ASPHALT: Reflection(0.068, 0.35, False, 0.15, 0.0, 0.055),
    Material.PAINT_LINE: Reflection(0.30, 0.35, False, 0.15, 0.0, 0.05),
    Material.CONCRETE: Reflection(0.13, 0.35, False, 0.2, 0.0, 0.06),
    Material.GRASS: Reflection(0.24, 0.40, False, 0.1, 0.02, 0.16),
    Material.FACADE: Reflection(0.24, 0.40, True, 0.35, 0.0, 0.02),
    Material.GLASS: Reflection(0.012, 0.80, False, 0.8, 0.60, 0.02),
    Material.CAR_PAINT: Reflection(0.11, 0.65, True, 0.7, 0.03, 0.012),
    Material.RUBBER: Reflection(0.020, 0.60, False, 0.3, 0.05, 0.02),
    Material.RETRO: Reflection(5.0, 2.2, False, 0.3, 0.0, 0.25),
    Material.SIGN_FACE: Reflection(80.0, 2.6, False, 0.3, 0.0, 0.35),
    Material.METAL: Reflection(0.14, 0.80, True, 0.5, 0.02, 0.03),
    Material.CLOTH: Reflection(0.15, 0.50, True, 0.3, 0.0, 0.03),
    Material.SKIN: Reflection(0.18, 0.30, False, 0.3, 0.0, 0.02),
    Material.LEAVES: Reflection(0.20, 0.55, False, 0.0, 0.02, 0.10),
    Material.WOOD: Reflection(0.16, 0.40, True, 0.3, 0.0, 0.03),
    Material.PLASTIC: Reflection(0.13, 0.60, True, 0.4, 0.02, 0.02),
    Material.WINDOW: Reflection(0.08, 0.90, False, 0.6, 0.15, 0.04),
}


def tabulate_reflections() -> np.ndarray:
    """(materials, 6) float64: a row per `Material`, the columns of `Reflection`."""
    return np.array([REFLECTIONS[material] for material in Material], np.float64)
