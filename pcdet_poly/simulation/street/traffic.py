"""Who uses the street: parked and driving vehicles, cyclists, pedestrians."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcdet_poly.simulation.solids.people import build_cyclist, build_pedestrian
from pcdet_poly.simulation.solids.vehicles import Vehicle, build_vehicle
from pcdet_poly.simulation.street.actors import Actor, Occupancy, Track
from pcdet_poly.simulation.street.course import Street
from pcdet_poly.structures import WAYMO_CLASSES

VEHICLE, PEDESTRIAN, CYCLIST = (WAYMO_CLASSES.index(name) for name in ("VEHICLE", "PEDESTRIAN", "CYCLIST"))
EGO_LENGTH_M = 5.2


def park_along_street(rng: np.random.Generator, street: Street, occupied: float) -> Iterator[Actor]:
    """Park vehicles in the parking lanes of both sides.

    Args:
        rng: Source of every random choice.
        street: The street; without parking lanes there are none.
        occupied: Share of the places that are taken, 0 to 1.

    Yields:
        Vehicles that stand still.
    """
    if not street.parking_m:
        return
    for side in (-1, 1):
        s = rng.uniform(0, 4)
        while s < street.length_m:
            vehicle = build_vehicle(rng, large=0.05)
            middle = s + vehicle.size[0] / 2
            s += vehicle.size[0] + rng.uniform(0.6, 1.8)
            if rng.random() > occupied or street.crosses(middle, vehicle.size[0] / 2 + 4):
                continue
            d = side * (street.half_road_m - 0.15 - vehicle.size[1] / 2 - rng.uniform(0, 0.2))
            facing = (0.0 if side < 0 else np.pi) + rng.normal(0, 0.025)
            yield _build_actor(rng, vehicle, Track(middle, d, facing))


def park_in_lot(
    rng: np.random.Generator, start: float, end: float, d_from: float, side: int, occupied: float
) -> Iterator[Actor]:
    """Park two facing rows of vehicles at right angles to the street.

    Args:
        rng: Source of every random choice.
        start: Where the lot begins along the street, metres.
        end: Where it ends.
        d_from: Distance of its near edge from the centre line, metres.
        side: -1 for the right of the street, 1 for the left.
        occupied: Share of the places that are taken, 0 to 1.

    Yields:
        Vehicles that stand still.
    """
    for row in range(2):
        s = start + 1.5
        while s < end - 1.5:
            if rng.random() < occupied:
                vehicle = build_vehicle(rng, large=0.03)
                d = side * (d_from + 3.4 + row * 12.5)
                facing = np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.04)
                yield _build_actor(rng, vehicle, Track(s, d + rng.uniform(-0.3, 0.3), facing))
            s += rng.uniform(2.6, 2.9)


def drive_in_lanes(
    rng: np.random.Generator, street: Street, ego: Track, ego_lane: int, duration_s: float
) -> Iterator[Actor]:
    """Put platoons into every lane: one speed profile per lane, so that nobody runs into anybody.

    Args:
        rng: Source of every random choice.
        street: The street with its lanes.
        ego: The LiDAR vehicle's way; vehicles of its lane share its profile and keep clear of it.
        ego_lane: Its lane, 0 the innermost.
        duration_s: Length of the segment, seconds.

    Yields:
        Vehicles that drive or queue.
    """
    for direction in (1, -1):
        for lane in range(street.num_lanes):
            own = direction > 0 and lane == ego_lane
            v, wave = (ego.v, ego.wave) if own else (_draw_lane_speed(rng), float(rng.uniform(0, 0.3)))
            phase, omega = (ego.phase, ego.omega) if own else (float(rng.uniform(0, 6.28)), 0.3)
            spacing = rng.uniform(9, 16) if v < 3 else rng.uniform(14, 40)
            s = rng.uniform(-v * duration_s * 1.4, 10.0 - v * duration_s * 1.2) if direction > 0 else rng.uniform(0, 15)
            end = street.length_m + (v * duration_s * 1.4 if direction < 0 else 0.0)
            while s < end:
                vehicle = build_vehicle(rng, large=0.12)
                middle = s + vehicle.size[0] / 2
                s += vehicle.size[0] + spacing * rng.uniform(0.5, 1.6)
                if own and abs(middle - ego.s - 1.5) < vehicle.size[0] / 2 + EGO_LENGTH_M / 2 + 4:
                    continue
                facing = 0.0 if direction > 0 else np.pi
                d = street.lane_d(lane) * direction + rng.normal(0, 0.15)
                yield _build_actor(rng, vehicle, Track(middle, d, facing, direction, 0.0, v, wave, omega, phase))


def fill_side_streets(rng: np.random.Generator, street: Street, duration_s: float) -> Iterator[Actor]:
    """Put vehicles into side streets, waiting at the mouth or driving away from it.

    Args:
        rng: Source of every random choice.
        street: The street with its crossings.
        duration_s: Length of the segment, seconds.

    Yields:
        The vehicles.
    """
    for middle, half in street.crossings:
        for side in (-1, 1):
            leaving, waiting = middle + side * half / 2, middle - side * half / 2
            d = street.half_street_m + rng.uniform(1.0, 4.0)
            for _ in range(int(rng.integers(0, 4))):
                vehicle = build_vehicle(rng, large=0.1)
                d += vehicle.size[0] / 2
                yield _build_actor(rng, vehicle, Track(waiting, side * d, -side * np.pi / 2 + rng.normal(0, 0.03)))
                d += vehicle.size[0] / 2 + rng.uniform(1.5, 5)
            if rng.random() < 0.6:
                vehicle = build_vehicle(rng, large=0.1)
                d = street.half_street_m + vehicle.size[0] / 2 + rng.uniform(2, 30)
                v = min(float(rng.uniform(3, 9)), 60 / duration_s)
                yield _build_actor(rng, vehicle, Track(leaving, side * d, side * np.pi / 2, 0.0, side, v))


def place_cyclists(rng: np.random.Generator, street: Street, occupancy: Occupancy, per_m: float) -> Iterator[Actor]:
    """Place cyclists at the edge of the outer lane, some standing on the sidewalk or at a crossing.

    Args:
        rng: Source of every random choice.
        street: The street.
        occupancy: The space that is taken; those who find room claim theirs.
        per_m: Their mean number per metre of street.

    Yields:
        Those who found room.
    """
    for _ in range(rng.poisson(street.length_m * per_m)):
        side = int(rng.choice([-1, 1]))
        shapes, size = build_cyclist(rng)
        s = rng.uniform(0, street.length_m)
        if rng.random() < 0.75:
            room = street.bike_lane_m / 2 if street.bike_lane_m else -0.35
            d = side * (street.half_road_m - street.parking_m - room + rng.normal(0, 0.15))
            facing = 0.0 if side < 0 else np.pi
            track = Track(s, d, facing, -side, 0.0, float(rng.uniform(2.0, 6.5)), 0.1, 0.5, rng.uniform(0, 6.28))
        else:
            d = side * rng.uniform(street.half_road_m + 0.8, street.half_street_m - 0.5)
            facing = rng.uniform(-np.pi, np.pi)
            us, ud = np.cos(facing), np.sin(facing)
            track = Track(s, d, facing, us, ud, 0.0)
        if occupancy.claim(track, (size[0], size[1] + 0.2, size[2])):
            yield Actor(shapes, size, track, CYCLIST, upright=True, tint=_draw_tint(rng))


def place_pedestrians(rng: np.random.Generator, street: Street, occupancy: Occupancy, per_m: float) -> Iterator[Actor]:
    """Place people on sidewalks, alone or in groups, walking, standing, or crossing the road.

    Args:
        rng: Source of every random choice.
        street: The street.
        occupancy: The space that is taken; those who find room claim theirs.
        per_m: Their mean number per metre of street.

    Yields:
        Those who found room.
    """
    for _ in range(rng.poisson(street.length_m * per_m)):
        group = 1 if rng.random() < 0.65 else int(rng.integers(2, 5))
        track = _draw_walk(rng, street)
        for member in range(group):
            offset = rng.normal(0, 0.25 + 0.35 * member, 2) + np.array([0.0, 0.8 * member])
            shapes, size = build_pedestrian(rng, walking=track.v > 0.2)
            facing = track.facing_rad if track.v > 0.2 else rng.uniform(-np.pi, np.pi)
            moved = Track(
                track.s + offset[0], track.d + offset[1], facing, track.us, track.ud, track.v, 0.05, 1.5, track.phase
            )
            if occupancy.claim(moved, (size[0] + 0.1, size[1] + 0.1, size[2])):
                yield Actor(shapes, size, moved, PEDESTRIAN, upright=True, tint=_draw_tint(rng))


def _draw_walk(rng: np.random.Generator, street: Street) -> Track:
    side = int(rng.choice([-1, 1]))
    s, phase = rng.uniform(0, street.length_m), rng.uniform(0, 6.28)
    kind = rng.random()
    if kind < 0.15 and street.crossings:
        middle, half = street.crossings[rng.integers(len(street.crossings))]
        s = middle + side * (half + 2.0) + rng.normal(0, 0.5)
        d = rng.uniform(-street.half_street_m, street.half_street_m)
        across = int(rng.choice([-1, 1]))
        return Track(s, d, across * np.pi / 2, 0.0, across, float(rng.uniform(0.8, 1.6)), phase=phase)
    d = side * rng.uniform(street.half_road_m + 1.1, street.half_street_m + 0.5)
    v = 0.0 if kind < 0.45 else float(np.clip(rng.normal(1.3, 0.3), 0.5, 2.5))
    along = int(rng.choice([-1, 1]))
    return Track(s, d, 0.0 if along > 0 else np.pi, along, 0.0, v, phase=phase)


def _build_actor(rng: np.random.Generator, vehicle: Vehicle, track: Track) -> Actor:
    return Actor(vehicle.shapes, vehicle.size, track, VEHICLE, tint=_draw_tint(rng))


def _draw_lane_speed(rng: np.random.Generator) -> float:
    return 0.0 if rng.random() < 0.25 else float(rng.uniform(3, 14))


def _draw_tint(rng: np.random.Generator) -> float:
    """Dark to white: paint, cloth and plastic of one object."""
    return float(np.exp(rng.normal(0, 0.7)))
