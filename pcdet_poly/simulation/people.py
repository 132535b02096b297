"""Pedestrians and cyclists as solids."""

from __future__ import annotations

import numpy as np

from pcdet_poly.simulation.materials import Material
from pcdet_poly.simulation.shapes import Shapes, block, cylinder, ellipsoid
from pcdet_poly.simulation.vehicles import Size


def random_pedestrian(rng: np.random.Generator, *, walking: bool) -> tuple[Shapes, Size]:
    """A person facing +x: legs in mid-stride when walking, arms beside the body, at times a bag."""
    height = float(np.clip(rng.normal(1.70, 0.10), 1.2, 1.95))
    stout = float(rng.uniform(0.9, 1.2))
    stride = float(rng.uniform(0.12, 0.30)) if walking else float(rng.uniform(0.0, 0.06))
    shoulder = 0.23 * stout
    parts = [
        *_legs(height * 0.48, stride),
        block((0, 0, height * 0.60), (0.20 * stout, 0.34 * stout, height * 0.26), Material.CLOTH),
        ellipsoid((0, 0, height * 0.76), (0.13 * stout, shoulder, height * 0.09), Material.CLOTH),
        ellipsoid((0.02, 0, height - 0.13), (0.10, 0.085, 0.13), Material.SKIN),
        *_arms(height, shoulder, stride),
    ]
    if rng.random() < 0.3:
        parts.append(block((-0.2, 0, height * 0.68), (0.18, 0.28, 0.38), Material.CLOTH))
    length = 2 * max(stride + 0.14, 0.13 * stout + 0.1, 0.29 if len(parts) > 8 else 0.0)
    return Shapes.join(parts), (length, 2 * shoulder + 0.16, height)


def _legs(hip: float, stride: float) -> list[Shapes]:
    legs = []
    for side, forward in ((-1, stride), (1, -stride)):
        foot, top = np.array([forward, side * 0.10, 0.05]), np.array([0.0, side * 0.09, hip])
        legs.append(
            cylinder((foot + top) / 2, 0.075, float(np.linalg.norm(top - foot)), Material.CLOTH, axis=top - foot)
        )
        legs.append(block((forward + 0.05, side * 0.10, 0.05), (0.24, 0.09, 0.10), Material.RUBBER))
    return legs


def _arms(height: float, shoulder: float, stride: float) -> list[Shapes]:
    arms = []
    for side, forward in ((-1, -stride), (1, stride)):
        hand = np.array([forward * 0.8 + 0.03, side * (shoulder + 0.03), height * 0.46])
        top = np.array([0.0, side * shoulder, height * 0.80])
        arms.append(
            cylinder((hand + top) / 2, 0.048, float(np.linalg.norm(top - hand)), Material.CLOTH, axis=top - hand)
        )
    return arms


def random_cyclist(rng: np.random.Generator) -> tuple[Shapes, Size]:
    """A bicycle along x with its rider."""
    length, height = float(rng.uniform(1.65, 1.90)), float(rng.uniform(1.58, 1.85))
    wheel = 0.34
    axle = length / 2 - wheel
    saddle, lean = height * 0.55, float(rng.uniform(0.15, 0.45))
    hip, neck = np.array([-0.22, 0.0, saddle]), np.array([-0.22 + lean, 0.0, height - 0.30])
    parts = [
        *_bicycle(axle, wheel, saddle),
        *_rider_legs(hip),
        cylinder((hip + neck) / 2, 0.16, float(np.linalg.norm(neck - hip)), Material.CLOTH, axis=neck - hip),
        ellipsoid(neck - [0.02, 0, 0.02], (0.13, 0.22, 0.11), Material.CLOTH),
        ellipsoid((neck[0] + 0.05, 0, height - 0.14), (0.12, 0.095, 0.14), Material.PLASTIC),
        *_rider_arms(neck, axle - 0.12),
    ]
    return Shapes.join(parts), (length, float(rng.uniform(0.62, 0.72)), height)


def _bicycle(axle: float, wheel: float, saddle: float) -> list[Shapes]:
    tyre = [cylinder((x, 0, wheel), wheel, 0.04, Material.RUBBER, axis=(0, 1, 0)) for x in (-axle, axle)]
    frame = [
        cylinder((0.0, 0, 0.62), 0.03, 2 * axle * 0.8, Material.METAL, axis=(1, 0, 0.15)),
        cylinder((-0.2, 0, (saddle + 0.3) / 2), 0.025, saddle - 0.3, Material.METAL),
        block((axle - 0.12, 0, 1.0), (0.05, 0.56, 0.05), Material.METAL),
        cylinder((axle - 0.06, 0, 0.68), 0.025, 0.65, Material.METAL, axis=(-0.2, 0, 1)),
        block((-axle - 0.1, 0, 0.75), (0.04, 0.08, 0.06), Material.RETRO),
    ]
    return tyre + frame


def _rider_legs(hip: np.ndarray) -> list[Shapes]:
    legs = []
    for side, pedal_x, pedal_z in ((-1, 0.17, 0.30), (1, -0.10, 0.42)):
        top, foot = hip + [0, side * 0.1, 0], np.array([pedal_x, side * 0.14, pedal_z])
        knee = (top + foot) / 2 + [0.20, 0, 0.08]
        for a, b in ((top, knee), (knee, foot)):
            legs.append(cylinder((a + b) / 2, 0.07, float(np.linalg.norm(a - b)), Material.CLOTH, axis=a - b))
    return legs


def _rider_arms(neck: np.ndarray, bar_x: float) -> list[Shapes]:
    arms = []
    for side in (-1, 1):
        shoulder, hand = neck + [0, side * 0.19, -0.05], np.array([bar_x, side * 0.25, 1.03])
        arms.append(
            cylinder(
                (shoulder + hand) / 2,
                0.045,
                float(np.linalg.norm(hand - shoulder)),
                Material.CLOTH,
                axis=hand - shoulder,
            )
        )
    return arms
