"""Pedestrians and cyclists as solids."""

from __future__ import annotations

import numpy as np

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.shapes import Shapes, block, cylinder, ellipsoid
from pcdet_poly.simulation.solids.vehicles import Size


def build_pedestrian(rng: np.random.Generator, *, walking: bool) -> tuple[Shapes, Size]:
    """A person facing +x: legs in mid-stride when walking, arms beside the body, at times a bag."""
    height = float(np.clip(rng.normal(1.70, 0.10), 1.2, 1.95))
    stout = float(rng.uniform(0.95, 1.3))
    stride = float(rng.uniform(0.12, 0.30)) if walking else float(rng.uniform(0.0, 0.06))
    shoulder = 0.27 * stout
    parts = [
        *_build_legs(height * 0.48, stride),
        block((0, 0, height * 0.60), (0.24 * stout, 0.40 * stout, height * 0.26), Material.CLOTH),
        ellipsoid((0, 0, height * 0.76), (0.15 * stout, shoulder, height * 0.09), Material.CLOTH),
        ellipsoid((0.02, 0, height - 0.13), (0.10, 0.085, 0.13), Material.SKIN),
        *_build_arms(height, shoulder, stride),
    ]
    reach = max(stride + 0.17, 0.15 * stout + 0.16)  # farthest foot, belly
    if rng.random() < 0.3:
        parts.append(block((-0.22, 0, height * 0.68), (0.18, 0.30, 0.38), Material.CLOTH))
        reach = max(reach, 0.33)
    return Shapes.join(parts), (2 * reach, 2 * shoulder + 0.16, height)


def _build_legs(hip: float, stride: float) -> list[Shapes]:
    legs = []
    for side, forward in ((-1, stride), (1, -stride)):
        legs.append(_build_limb((forward, side * 0.11, 0.05), (0.0, side * 0.10, hip), 0.085))
        legs.append(block((forward + 0.05, side * 0.11, 0.05), (0.24, 0.10, 0.10), Material.RUBBER))
    return legs


def _build_arms(height: float, shoulder: float, stride: float) -> list[Shapes]:
    arms = []
    for side, forward in ((-1, -stride), (1, stride)):
        hand, top = (
            (forward * 0.8 + 0.03, side * (shoulder + 0.02), height * 0.46),
            (0.0, side * shoulder, height * 0.8),
        )
        arms.append(_build_limb(hand, top, 0.055))
    return arms


def build_cyclist(rng: np.random.Generator) -> tuple[Shapes, Size]:
    """A bicycle along x with its rider."""
    length, height = float(rng.uniform(1.65, 1.90)), float(rng.uniform(1.58, 1.85))
    wheel = 0.34
    axle = length / 2 - wheel
    saddle, lean = height * 0.55, float(rng.uniform(0.15, 0.45))
    neck_x, neck_z = lean - 0.22, height - 0.30
    parts = [
        *_build_bicycle(axle, wheel, saddle),
        *_build_rider_legs(-0.22, saddle),
        _build_limb((-0.22, 0.0, saddle), (neck_x, 0.0, neck_z), 0.17),
        ellipsoid((neck_x - 0.02, 0, neck_z - 0.02), (0.14, 0.25, 0.11), Material.CLOTH),
        ellipsoid((neck_x + 0.05, 0, height - 0.14), (0.12, 0.095, 0.14), Material.PLASTIC),
        *(_build_limb((neck_x, s * 0.22, neck_z - 0.05), (axle - 0.12, s * 0.28, 1.03), 0.05) for s in (-1, 1)),
    ]
    return Shapes.join(parts), (length, float(rng.uniform(0.66, 0.76)), height)


def _build_bicycle(axle: float, wheel: float, saddle: float) -> list[Shapes]:
    return [
        *(cylinder((x, 0, wheel), wheel, 0.04, Material.RUBBER, axis=(0, 1, 0)) for x in (-axle, axle)),
        cylinder((0.0, 0, 0.62), 0.03, 2 * axle * 0.8, Material.METAL, axis=(1, 0, 0.15)),
        cylinder((-0.2, 0, (saddle + 0.3) / 2), 0.025, saddle - 0.3, Material.METAL),
        block((axle - 0.12, 0, 1.0), (0.05, 0.60, 0.05), Material.METAL),
        cylinder((axle - 0.06, 0, 0.68), 0.025, 0.65, Material.METAL, axis=(-0.2, 0, 1)),
        block((-axle - 0.1, 0, 0.75), (0.04, 0.08, 0.06), Material.RETRO),
    ]


def _build_rider_legs(hip_x: float, hip_z: float) -> list[Shapes]:
    legs = []
    for side, pedal_x, pedal_z in ((-1, 0.17, 0.30), (1, -0.10, 0.42)):
        hip, foot = (hip_x, side * 0.10, hip_z), (pedal_x, side * 0.14, pedal_z)
        knee = ((hip_x + pedal_x) / 2 + 0.20, side * 0.12, (hip_z + pedal_z) / 2 + 0.08)
        legs += [_build_limb(hip, knee, 0.08), _build_limb(knee, foot, 0.065)]
    return legs


def _build_limb(start: tuple[float, float, float], end: tuple[float, float, float], radius: float) -> Shapes:
    along = np.subtract(end, start)
    return cylinder(np.add(start, end) / 2, radius, float(np.linalg.norm(along)), Material.CLOTH, axis=along)
