"""Streets, tracks and who may stand where."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.simulation.solids.materials import Material
from pcdet_poly.simulation.street.actors import Occupancy, Track, travel
from pcdet_poly.simulation.street.course import KERB_M, draw_street
from pcdet_poly.simulation.street.scene import build_scene
from pcdet_poly.simulation.street.terrain import build_terrain
from tests.tolerances import FLOAT64_CANCELLED

CAR = (4.6, 1.9, 1.6)


# Differences over 2e-4 m or more of float64 coordinates below 1000 m: two roundings of 1e-13 each make 1e-9. What a
# circle or a hill of tens of metres departs from its tangent by is less.
SLOPE = 1e-8


def row(**values: float) -> np.ndarray:
    names = ("s", "d", "facing", "us", "ud", "v", "wave", "omega", "phase")
    return np.array([values.get(name, 1.0 if name == "omega" else 0.0) for name in names])


@pytest.mark.parametrize("seed", range(5))
def test_street_coordinates_are_metres_along_and_to_the_left(seed: int) -> None:
    street = draw_street(np.random.default_rng(seed), 200.0)
    s, d, step = np.linspace(5, 190, 40), np.linspace(-20, 20, 40), 1e-4
    along = (street.position(s + step, 0.0, ground=False) - street.position(s - step, 0.0, ground=False)) / (2 * step)
    left = (street.position(s, d + step, ground=False) - street.position(s, d - step, ground=False)) / (2 * step)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1, atol=SLOPE)
    turn = np.exp(1j * (np.arctan2(along[:, 1], along[:, 0]) - street.heading(s)))
    np.testing.assert_allclose(turn, 1, atol=SLOPE)
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1, atol=SLOPE)
    np.testing.assert_allclose((along * left).sum(axis=1), 0, atol=SLOPE)
    np.testing.assert_allclose(along[:, 0] * left[:, 1] - along[:, 1] * left[:, 0], 1, atol=SLOPE)


def test_ground_rises_at_the_kerb_but_not_where_a_side_street_crosses() -> None:
    street = draw_street(np.random.default_rng(3), 300.0)
    kerb, middle = street.half_road_m, street.crossings[0][0]
    between = (street.crossings[0][0] + street.crossings[1][0]) / 2
    step = street.height([between, middle], kerb + 0.05) - street.height([between, middle], kerb - 0.05)
    np.testing.assert_allclose(step, [KERB_M, 0.0], atol=FLOAT64_CANCELLED)
    slope = (street.height(between + 1e-3, 0.0) - street.height(between - 1e-3, 0.0)) / 2e-3
    grade = street.grade(np.array([between]), np.zeros(1), np.ones(1), np.zeros(1))
    np.testing.assert_allclose(grade, slope, atol=SLOPE)


def test_terrain_mesh_lies_at_the_streets_height() -> None:
    street = draw_street(np.random.default_rng(1), 120.0)
    mesh = build_terrain(street, Material.GRASS)
    center = street.position(60.0, 0.0)
    near = np.argmin(np.linalg.norm(mesh.vertices[:, :2] - center[:2], axis=1))
    assert mesh.vertices[near, 2] == pytest.approx(center[2], abs=0.1)
    assert {int(Material.ASPHALT), int(Material.PAINT_LINE), int(Material.CONCRETE), int(Material.GRASS)} == set(
        mesh.material.tolist()
    )


def test_travel_is_the_integral_of_speed() -> None:
    track = row(v=7.0, wave=0.3, omega=0.8, phase=1.1)
    times = np.linspace(0, 9, 20001)
    speeds = np.array([travel(track, t)[1] for t in times])
    integral = np.trapezoid(speeds, times)
    # Trapezoids of .45 ms are off by a twelfth of its square, times 9 s and a second derivative below 1.4 m/s3: 2e-7.
    assert travel(track, 9.0)[0] == pytest.approx(integral, abs=1e-6)
    assert travel(track, 0.0)[0] == 0


def test_occupancy_refuses_what_would_touch_at_any_time() -> None:
    occupancy = Occupancy(np.linspace(0, 5, 6))
    assert occupancy.claim(Track(50.0, 0.0, 0.0, v=10.0), CAR)
    assert not occupancy.claim(Track(52.0, 0.5, 0.0, v=10.0), CAR)  # beside it all the time
    assert not occupancy.claim(Track(90.0, 0.0, 0.0), CAR)  # run into after four seconds
    assert occupancy.claim(Track(90.0, 3.4, 0.0), CAR)  # in the next lane
    assert occupancy.claim(Track(30.0, 0.0, 0.0, v=10.0), CAR)  # behind it at the same speed
    assert not occupancy.claim(Track(90.0, 5.0, -np.pi / 2, 0.0, -1.0, 1.0), (0.6, 0.6, 1.7))  # walks into the third


@pytest.mark.parametrize("seed", range(4))
def test_scenes_are_dense_and_varied(seed: int) -> None:
    scene = build_scene(np.random.default_rng(seed), np.array([0.0]))
    center = scene.compute_ego_poses(np.zeros(1))[1][0, :2]
    labels = scene.actors.label[scene.actors.find_near(0.0, center, 75.0)]
    vehicles, people, signs, cyclists = (int((labels == label).sum()) for label in range(4))
    assert vehicles >= 15
    assert people >= 8
    assert signs + cyclists >= 6
    assert (labels == -1).sum() >= 10


def test_scene_repeats_for_a_seed() -> None:
    first, again = (build_scene(np.random.default_rng(2), np.array([0.0, 1.0])) for _ in range(2))
    np.testing.assert_array_equal(first.mesh.vertices, again.mesh.vertices)
    np.testing.assert_array_equal(first.actors.tracks, again.actors.tracks)
    np.testing.assert_array_equal(first.actors.shapes.planes, again.actors.shapes.planes)
