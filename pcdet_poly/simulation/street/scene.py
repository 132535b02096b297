"""One procedural street with everything on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcdet_poly.simulation.solids import furniture
from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.solids.mesh import Mesh
from pcdet_poly.simulation.street import traffic
from pcdet_poly.simulation.street.actors import UNLABELLED, Actor, ActorTable, Occupancy, Track, travel
from pcdet_poly.simulation.street.course import Street, draw_street
from pcdet_poly.simulation.street.plots import lay_out_plots, stand_upright
from pcdet_poly.simulation.street.terrain import build_terrain
from pcdet_poly.structures import WAYMO_CLASSES

SIGN = WAYMO_CLASSES.index("SIGN")
MARGIN_M = 90.0  # street before the ego's start and beyond its end
_MOST_TRAVEL_M = 400.0


@dataclass(frozen=True)
class StreetScene:
    """The world of one segment. Street coordinates start MARGIN_M behind the ego."""

    street: Street
    mesh: Mesh
    actors: ActorTable
    ego: Track
    no_label_zones: tuple[np.ndarray, ...]  # polygons (K, 2), world frame

    def compute_ego_poses(self, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Roll, pitch, yaw (T, 3) and position (T, 3) of the vehicle frame in the world."""
        moved, _ = travel(np.array([0, 0, 0, 1, 0, self.ego.v, self.ego.wave, self.ego.omega, self.ego.phase]), times_s)
        s, d = self.ego.s + moved, np.full(len(times_s), self.ego.d)
        pitch = -np.arctan(self.street.grade(s, d, np.ones(len(s)), np.zeros(len(s))))
        angles = np.stack([np.zeros(len(s)), pitch, self.street.heading(s)], axis=-1)
        return angles, self.street.position(s, d)


def build_scene(rng: np.random.Generator, times_s: np.ndarray) -> StreetScene:
    """A street with all that stands and moves on it, seen at `times_s`."""
    duration = float(times_s[-1] - times_s[0]) + 1.0
    v = 0.0 if rng.random() < 0.2 else min(float(rng.uniform(3, 13)), _MOST_TRAVEL_M / duration)
    street = draw_street(rng, 2 * MARGIN_M + v * duration * 1.2)
    lane = int(rng.integers(street.num_lanes))
    ego = Track(MARGIN_M, street.lane_d(lane), 0.0, 1.0, 0.0, v, 0.2, 0.25, float(rng.uniform(0, 6.28)))
    occupancy = Occupancy(times_s if len(times_s) <= 60 else np.linspace(times_s[0], times_s[-1], 60))
    occupancy.claim(Track(ego.s + 1.5, ego.d, 0.0, 1.0, 0.0, v, ego.wave, ego.omega, ego.phase), (6.5, 2.6, 2.0))
    plots = lay_out_plots(rng, street)
    actors = plots.actors
    actors += [*traffic.park_along_street(rng, street, float(rng.uniform(0.35, 0.9)))]
    actors += [
        *traffic.drive_in_lanes(rng, street, ego, lane, duration),
        *traffic.fill_side_streets(rng, street, duration),
    ]
    actors += [*_furnish_roadside(rng, street)]
    actors = [actor for actor in actors if _claim_space(occupancy, actor)]
    actors += [*traffic.place_cyclists(rng, street, occupancy, float(rng.uniform(0.03, 0.08)))]
    actors += [*traffic.place_pedestrians(rng, street, occupancy, float(rng.uniform(0.09, 0.22)))]
    plot = Material(rng.choice([Material.CONCRETE, Material.GRASS, Material.ASPHALT]))
    mesh = Mesh.join([build_terrain(street, plot), *plots.meshes])
    return StreetScene(street, mesh, ActorTable(street, actors), ego, _draw_no_label_zones(rng, street))


def _claim_space(occupancy: Occupancy, actor: Actor) -> bool:
    if actor.label in (UNLABELLED, SIGN):  # leaves, lamps and plates overhead: one may stand under them
        return True
    return occupancy.claim(actor.track, (actor.size[0], actor.size[1] - 0.2, actor.size[2]))


def _furnish_roadside(rng: np.random.Generator, street: Street) -> Iterator[Actor]:
    """Trees, lamps, signs, bins in the strip beside the kerb."""
    makers = [
        furniture.build_tree,
        furniture.build_street_lamp,
        furniture.build_bin_or_cabinet,
        furniture.build_traffic_light,
    ]
    for side in (-1, 1):
        s = rng.uniform(0, 8)
        d = side * (street.half_road_m + 0.55)
        while s < street.length_m:
            if not street.crosses(s, 1.0):
                facing = np.pi if side < 0 else 0.0  # towards those who drive by
                if rng.random() < 0.3:
                    yield from _put_up_sign(rng, s, d, facing)
                else:
                    yield stand_upright(makers[rng.choice(4, p=[0.5, 0.22, 0.2, 0.08])](rng), s, d, side * -np.pi / 2)
            s += rng.uniform(4, 9)


def _put_up_sign(rng: np.random.Generator, s: float, d: float, facing: float) -> Iterator[Actor]:
    plate, size, bottom = furniture.build_sign_plate(rng)
    yield stand_upright(furniture.build_pole(bottom + size[2], 0.04), s, d)
    track = Track(s - 0.07 * np.cos(facing + np.pi), d, facing + rng.normal(0, 0.1))
    yield Actor(plate, size, track, SIGN, bottom_m=bottom, upright=True)


def _draw_no_label_zones(rng: np.random.Generator, street: Street) -> tuple[np.ndarray, ...]:
    """In a third of the segments, land beyond one side's buildings carries no labels."""
    if rng.random() > 0.35:
        return ()
    side = rng.choice([-1, 1])
    s = np.linspace(0, street.length_m, 12)
    near, far = side * (street.half_street_m + 8.0), side * 85.0
    outline = [street.position(s, near), street.position(s[::-1], far)]
    return (np.concatenate(outline)[:, :2],)
