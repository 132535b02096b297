"""Objects fill their label boxes: what is hit lies inside, and reaches every face."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pcdet_poly.simulation.lidar.cast import Instances, cast_solids
from pcdet_poly.simulation.lidar.rays import Beams, Hits
from pcdet_poly.simulation.lidar.sensor import build_waymo_lidars
from pcdet_poly.simulation.solids.furniture import build_sign_plate
from pcdet_poly.simulation.solids.people import build_cyclist, build_pedestrian
from pcdet_poly.simulation.solids.shapes import Shapes
from pcdet_poly.simulation.solids.vehicles import build_vehicle

Maker = Callable[[np.random.Generator], tuple[Shapes, tuple[float, float, float], float]]


def surface(shapes: Shapes, distance_m: float) -> np.ndarray:
    """(P, 3) points on an object, seen from eight sides, in its own frame."""
    top = build_waymo_lidars(0, top_shape=(64, 2650))[0]
    found = []
    for yaw in np.arange(8) * np.pi / 4 + 0.2:
        mount = top.calibration.vehicle_from_lidar
        origin = np.broadcast_to(mount[:3, 3], (2650, 3)).copy()
        beams = Beams(top, origin, np.broadcast_to(mount[:3, :3], (2650, 3, 3)).copy())
        c, s = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[[c, -s, 0], [s, c, 0], [0, 0, 1.0]]])
        position = np.array([[distance_m, 0.0, 0.0]])
        where = np.zeros(len(shapes), np.int64)
        still = np.zeros((1, 3))
        instances = Instances(position, still, rotation, np.array([0], np.int32), shapes, where)
        hits = Hits.empty(top.shape)
        cast_solids(beams, instances, hits, np.uint64(0))
        row, column = np.nonzero(np.isfinite(hits.range_m[0]))
        world = origin[column] + beams.compute_directions(row, column) * hits.range_m[0, row, column][:, None]
        found.append((world - position) @ rotation[0])
    return np.concatenate(found)


def vehicle(rng: np.random.Generator) -> tuple[Shapes, tuple[float, float, float], float]:
    made = build_vehicle(rng, large=0.25)
    return made.shapes, made.size, 0.0


def pedestrian(rng: np.random.Generator) -> tuple[Shapes, tuple[float, float, float], float]:
    return *build_pedestrian(rng, walking=bool(rng.integers(2))), 0.0


def cyclist(rng: np.random.Generator) -> tuple[Shapes, tuple[float, float, float], float]:
    return *build_cyclist(rng), 0.0


@pytest.mark.parametrize(
    ("make", "slack_m", "fill", "distance_m"),
    [
        (vehicle, 0.16, 0.93, 35.0),
        (pedestrian, 0.03, 0.6, 12.0),
        (cyclist, 0.03, 0.75, 12.0),
        (build_sign_plate, 0.0, 0.4, 40.0),
    ],
    ids=["vehicle", "pedestrian", "cyclist", "sign"],
)
@pytest.mark.parametrize("seed", range(6))
def test_hits_lie_in_the_box_and_fill_it(
    make: Maker, slack_m: float, fill: float, distance_m: float, seed: int
) -> None:
    shapes, size, bottom = make(np.random.default_rng(seed))
    points = surface(shapes, distance_m)
    low, high = points.min(axis=0), points.max(axis=0)
    half = np.array(size) / 2
    # Mirrors reach 15 cm beyond the body at either side; nothing else leaves the box.
    room = np.array([0.02, max(slack_m, 0.02), 0.02])
    center = np.array([0.0, 0.0, bottom + half[2]])
    assert (low >= center - half - room).all(), (low, size)
    assert (high <= center + half + room).all(), (high, size)
    extent = np.minimum(high, center + half) - np.maximum(low, center - half)
    assert (extent >= fill * np.array(size)).all(), (extent, size)
