"""Cars, vans, trucks and buses as solids that fill their label boxes as real ones do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.shapes import Shapes, block, cylinder, prism

Size = tuple[float, float, float]  # length, width, height, metres


@dataclass(frozen=True)
class Vehicle:
    """Solids around the middle of the label box's floor, and the box's size."""

    shapes: Shapes
    size: Size


@dataclass(frozen=True)
class _Profile:
    """Side view of a car: fractions of length (from the rear) and of height."""

    belt: float  # where windows begin, of height
    hood: float  # height of the hood's front edge
    deck: float  # height of the body's rear end
    cabin_rear: tuple[float, float]  # foot and roof of the cabin's rear, of length
    cabin_front: tuple[float, float]  # roof and foot of the windscreen, of length
    clearance_m: float
    wheel_m: float  # radius


_SEDAN = _Profile(0.60, 0.50, 0.58, (0.10, 0.27), (0.60, 0.75), 0.18, 0.32)
_HATCH = _Profile(0.58, 0.50, 0.58, (0.01, 0.10), (0.55, 0.74), 0.18, 0.31)
_SUV = _Profile(0.58, 0.53, 0.58, (0.01, 0.06), (0.60, 0.73), 0.24, 0.36)
_VAN = _Profile(0.52, 0.45, 0.52, (0.0, 0.02), (0.72, 0.90), 0.20, 0.34)
_PICKUP = _Profile(0.56, 0.53, 0.53, (0.38, 0.40), (0.60, 0.74), 0.28, 0.38)


def build_vehicle(rng: np.random.Generator, *, large: float = 0.12) -> Vehicle:
    """A vehicle of a random kind; a share `large` of them are trucks and buses."""
    if rng.random() < large:
        make = (_build_box_truck, _build_bus, _build_lorry)[rng.choice(3, p=(0.5, 0.25, 0.25))]
        return make(rng)
    kinds: list[tuple[float, Callable[[np.random.Generator], Vehicle]]] = [
        (0.36, lambda r: _build_car(r, _SEDAN, (4.75, 1.96, 1.48))),
        (0.17, lambda r: _build_car(r, _HATCH, (4.20, 1.88, 1.52))),
        (0.29, lambda r: _build_car(r, _SUV, (4.80, 2.06, 1.76))),
        (0.09, lambda r: _build_car(r, _PICKUP, (5.75, 2.14, 1.92))),
        (0.09, lambda r: _build_car(r, _VAN, (5.30, 2.14, 2.20))),
    ]
    return kinds[rng.choice(len(kinds), p=[share for share, _ in kinds])][1](rng)


def _vary_size(rng: np.random.Generator, size: Size) -> Size:
    length, width, height = (value * float(np.clip(rng.normal(1, 0.055), 0.88, 1.14)) for value in size)
    return length, width * 0.5 + size[1] * 0.5, height


def _build_car(rng: np.random.Generator, profile: _Profile, typical: Size) -> Vehicle:
    length, width, height = size = _vary_size(rng, typical)
    rear, front, half = -length / 2, length / 2, width / 2
    low, belt = profile.clearance_m, profile.belt * height
    x = [rear + part * length for part in (*profile.cabin_rear, *profile.cabin_front)]
    nose = profile.hood * height
    body = [
        (rear + 0.12, low),
        (front - 0.15, low),
        (front, low + 0.2),
        (front, nose * 0.86),
        (front - 0.12 * length, nose),
        (x[3], belt),
        (rear + 0.03, profile.deck * height),
        (rear, low + 0.25),
    ]
    cabin = [(x[0], belt - 0.02), (x[3], belt - 0.02), (x[2], height), (x[1], height)]
    parts = [
        prism(_compute_hull(body), (half, half * 0.97), Material.CAR_PAINT),
        prism(cabin, (half * 0.95, half * 0.74), Material.CAR_PAINT, glass_z=(belt + 0.04, height - 0.1)),
        *_build_wheels(length, half, profile.wheel_m, (0.19, 0.80)),
        *_build_mirrors(x[3] - 0.12, half, belt + 0.08),
        *_build_lights(rear, front, half, belt),
    ]
    if profile is _PICKUP:
        bed = (rear + x[0]) / 2
        wall_z, wall_high = belt - 0.12, 0.30
        parts += [
            block((bed, side * (half - 0.06), wall_z), (x[0] - rear, 0.1, wall_high), Material.CAR_PAINT)
            for side in (-1, 1)
        ]
    return Vehicle(Shapes.join(parts), size)


def _build_box_truck(rng: np.random.Generator) -> Vehicle:
    return _build_truck(rng, (float(rng.uniform(6.0, 8.5)), 2.35, float(rng.uniform(2.7, 3.4))), cab_m=1.9)


def _build_lorry(rng: np.random.Generator) -> Vehicle:
    return _build_truck(rng, (float(rng.uniform(9.0, 13.0)), 2.55, float(rng.uniform(3.5, 3.9))), cab_m=2.3)


def _build_truck(rng: np.random.Generator, size: Size, *, cab_m: float) -> Vehicle:
    length, width, height = size
    rear, front, half = -length / 2, length / 2, width / 2
    cargo, cab_high = length - cab_m - 0.35, min(2.5, height * 0.85)
    back = front - cab_m
    cab = [(back, 0.45), (front - 0.05, 0.45), (front, 1.2), (front - 0.35, cab_high), (back, cab_high)]
    parts = [
        block((rear + cargo / 2, 0, (height + 0.95) / 2), (cargo, width, height - 0.95), Material.PLASTIC),
        prism(cab, (half * 0.96, half * 0.92), Material.CAR_PAINT, glass_z=(1.45, cab_high - 0.25)),
        block((0, 0, 0.75), (length - 0.6, width * 0.5, 0.3), Material.METAL),
        *_build_wheels(length, half - 0.05, 0.48, (0.14, 0.23, 0.86) if length > 9 else (0.2, 0.85)),
        *_build_lights(rear, front, half, 1.0),
    ]
    return Vehicle(Shapes.join(parts), size)


def _build_bus(rng: np.random.Generator) -> Vehicle:
    length, width, height = size = (float(rng.uniform(9.5, 12.5)), 2.6, float(rng.uniform(2.95, 3.25)))
    front, half = length / 2, width / 2
    side = [(-front, 0.35), (front, 0.35), (front, 1.2), (front - 0.25, height), (-front, height)]
    parts = [
        prism(side, (half, half * 0.97), Material.CAR_PAINT, glass_z=(1.35, height - 0.6)),
        *_build_wheels(length, half - 0.02, 0.48, (0.25, 0.78)),
        *_build_mirrors(front - 0.1, half, 2.2),
        *_build_lights(-front, front, half, 1.0),
    ]
    return Vehicle(Shapes.join(parts), size)


def _build_wheels(length: float, half: float, radius: float, places: tuple[float, ...]) -> list[Shapes]:
    return [
        cylinder(
            (-length / 2 + at * length, side * (half - 0.11), radius), radius, 0.22, Material.RUBBER, axis=(0, 1, 0)
        )
        for at in places
        for side in (-1, 1)
    ]


def _build_mirrors(x: float, half: float, z: float) -> list[Shapes]:
    return [block((x, side * (half + 0.06), z), (0.12, 0.18, 0.14), Material.PLASTIC) for side in (-1, 1)]


def _build_lights(rear: float, front: float, half: float, z: float) -> list[Shapes]:
    """Rear lamps, number plates and head lamps: retroreflectors 1 cm proud of the body."""
    lamp, plate = (0.04, 0.22, 0.12), (0.03, 0.40, 0.11)
    return [
        *(block((rear + 0.03, side * (half - 0.2), z - 0.12), lamp, Material.RETRO) for side in (-1, 1)),
        *(block((front - 0.06, side * (half - 0.25), z * 0.72), (0.1, 0.3, 0.12), Material.GLASS) for side in (-1, 1)),
        block((rear + 0.01, 0.0, z * 0.6), plate, Material.RETRO),
        block((front + 0.0, 0.0, z * 0.45), plate, Material.RETRO),
    ]


def _compute_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The convex hull, counter-clockwise (Andrew's monotone chain)."""

    def build_half(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
        hull: list[tuple[float, float]] = []
        for p in ordered:
            while len(hull) > 1 and _turn(hull[-2], hull[-1], p) <= 0:
                hull.pop()
            hull.append(p)
        return hull[:-1]

    ordered = sorted(set(points))
    return build_half(ordered) + build_half(ordered[::-1])


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
