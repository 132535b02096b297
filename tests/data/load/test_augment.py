"""Augmentation: against a plain version, points stay in their boxes, the world stays where it is."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from pcdet_poly.config.sections.data import AugmentConfig
from pcdet_poly.data.load.augment import (
    FLIP_X,
    FLIP_Y,
    augment,
    draw_transform,
    rotation_matrix,
    scaling_matrix,
    shuffle_points,
    transform_frame,
    translation_matrix,
)
from pcdet_poly.structures import Frame
from tests.data.frames import assert_same_frame, make_frame
from tests.tolerances import COORDINATE_M

NOTHING = AugmentConfig(flip_x=False, flip_y=False, rotation_rad=0, scale=(1, 1), translation_m=0, shuffle=False)


def plain(frame: Frame, kind: str, value: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 3) and boxes (N, 7) after one change, as one writes it down without matrices."""
    points, box = frame.points[:, :3].astype(float), frame.ground_truth.box.astype(float)
    for rows in (points, box):
        x, y = rows[:, 0].copy(), rows[:, 1].copy()
        if kind == "flip_x":
            rows[:, 1] = -y
        elif kind == "flip_y":
            rows[:, 0] = -x
        elif kind == "rotate":
            rows[:, 0] = x * math.cos(value) - y * math.sin(value)
            rows[:, 1] = x * math.sin(value) + y * math.cos(value)
        elif kind == "scale":
            rows[:, : 3 if rows is points else 6] *= value
        else:
            rows[:, :3] += value
    heading = box[:, 6]
    box[:, 6] = {"flip_x": -heading, "flip_y": math.pi - heading, "rotate": heading + value}.get(kind, heading)
    return points, box


CHANGES = {
    "flip_x": (FLIP_X, 0.0),
    "flip_y": (FLIP_Y, 0.0),
    "rotate": (rotation_matrix(0.7), 0.7),
    "scale": (scaling_matrix(1.05), 1.05),
    "translate": (translation_matrix(np.full(3, 0.3)), 0.3),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_equals_the_plain_version(kind: str) -> None:
    matrix, value = CHANGES[kind]
    frame = make_frame(1)
    points, box = plain(frame, kind, value)
    moved = transform_frame(frame, matrix)
    np.testing.assert_allclose(moved.points[:, :3], points, atol=COORDINATE_M)
    np.testing.assert_array_equal(moved.points[:, 3:], frame.points[:, 3:])
    np.testing.assert_allclose(moved.ground_truth.box[:, :6], box[:, :6], atol=COORDINATE_M)
    turned = (moved.ground_truth.box[:, 6] - box[:, 6] + math.pi) % (2 * math.pi) - math.pi
    # Headings below 4 in float32: two sums, each rounded by 1.2e-7.
    np.testing.assert_allclose(turned, 0, atol=1e-6)


def in_box_coordinates(frame: Frame) -> np.ndarray:
    """(N, P, 3) every point in the axes of every box, in units of half its size."""
    box = frame.ground_truth.box.astype(float)
    shifted = frame.points[None, :, :3].astype(float) - box[:, None, :3]
    cos, sin = np.cos(box[:, None, 6]), np.sin(box[:, None, 6])
    along = cos * shifted[..., 0] + sin * shifted[..., 1]
    across = -sin * shifted[..., 0] + cos * shifted[..., 1]
    return np.stack([along, across, shifted[..., 2]], axis=-1) / (box[:, None, 3:6] / 2)


@pytest.mark.parametrize("seed", range(5))
def test_points_keep_their_place_in_boxes(seed: int) -> None:
    frame = make_frame(seed)
    cfg = AugmentConfig(translation_m=0.5, shuffle=False)
    matrix = draw_transform(np.random.default_rng(seed), cfg)
    before = in_box_coordinates(frame)
    after = in_box_coordinates(transform_frame(frame, matrix))
    if np.linalg.det(matrix[:3, :3]) < 0:
        before[..., 1] = -before[..., 1]  # a mirrored car has its left side on the right
    np.testing.assert_allclose(after, before, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_world_stays_where_it_is(seed: int) -> None:
    frame = make_frame(seed)
    moved = augment(frame, np.random.default_rng(seed), AugmentConfig(translation_m=0.5, shuffle=False))

    def world(f: Frame) -> np.ndarray:
        return f.points[:, :3] @ f.world_from_vehicle[:3, :3].T + f.world_from_vehicle[:3, 3]

    # m: three changes, after each of which coordinates are rounded to float32 (4e-6), and as much room again for ten.
    np.testing.assert_allclose(world(moved), world(frame), atol=1e-3)
    np.testing.assert_array_equal(moved.ground_truth.speed, frame.ground_truth.speed)
    for a, b in zip(moved.calibrations, frame.calibrations, strict=True):
        placed = moved.world_from_vehicle @ a.vehicle_from_lidar
        # float64 all the way: places of some km have roundings of 1e-12 m.
        np.testing.assert_allclose(placed, frame.world_from_vehicle @ b.vehicle_from_lidar, atol=1e-9)


def test_an_objects_velocity_turns_with_its_box() -> None:
    """A car that drives along its heading still does, seen in the new vehicle frame."""
    frame = make_frame(3)
    box = frame.ground_truth.box
    frame.world_from_vehicle[:] = rotation_matrix(1.2)
    forward = np.stack([np.cos(box[:, 6] + 1.2), np.sin(box[:, 6] + 1.2)], axis=1)
    frame.ground_truth.speed[:] = 7 * forward
    for matrix, _ in CHANGES.values():
        moved = transform_frame(frame, matrix)
        world = np.concatenate([moved.ground_truth.speed, np.zeros((len(box), 1))], axis=1)
        seen = world @ np.linalg.inv(moved.world_from_vehicle[:3, :3]).T
        heading = moved.ground_truth.box[:, 6]
        # Directions of speeds and headings, each of some float32 operations: roundings of 2.4e-7.
        np.testing.assert_allclose(np.arctan2(seen[:, 1], seen[:, 0]), heading, atol=1e-5)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_and_its_inverse_give_the_frame_back(kind: str) -> None:
    frame = make_frame(4)
    matrix, _ = CHANGES[kind]
    back = transform_frame(transform_frame(frame, matrix), np.linalg.inv(matrix))
    np.testing.assert_allclose(back.points, frame.points, atol=COORDINATE_M)
    np.testing.assert_allclose(back.ground_truth.box, frame.ground_truth.box, atol=COORDINATE_M)
    # Matrices of numbers about 1 in float64, inverted and multiplied: some roundings of 1e-16.
    np.testing.assert_allclose(back.world_from_vehicle, frame.world_from_vehicle, atol=1e-12)


def test_the_input_is_left_alone() -> None:
    frame = make_frame(5)
    before = copy.deepcopy(frame)
    augment(frame, np.random.default_rng(0), AugmentConfig(translation_m=1.0))
    assert_same_frame(frame, before)


def test_no_change_asked_for_is_no_change() -> None:
    frame = make_frame(6)
    same = augment(frame, np.random.default_rng(0), NOTHING)
    np.testing.assert_array_equal(same.points, frame.points)
    # A heading is brought into its range anew: float32 roundings of 1.2e-7.
    np.testing.assert_allclose(same.ground_truth.box, frame.ground_truth.box, atol=1e-6)
    np.testing.assert_array_equal(same.world_from_vehicle, frame.world_from_vehicle)


def test_shuffling_keeps_the_points() -> None:
    frame = make_frame(7)
    mixed = shuffle_points(frame, np.random.default_rng(0)).points
    assert not np.array_equal(mixed, frame.points)
    np.testing.assert_array_equal(np.sort(mixed.view("V32"), axis=0), np.sort(frame.points.view("V32"), axis=0))


def test_one_seed_one_frame() -> None:
    frame = make_frame(8)
    a, b, c = (augment(frame, np.random.default_rng(seed), AugmentConfig()).points for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_draws_are_as_wide_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    cfg = AugmentConfig(translation_m=0.2)
    maps = np.array([draw_transform(rng, cfg) for _ in range(2000)])
    factor = np.cbrt(np.abs(np.linalg.det(maps[:, :3, :3])))
    assert 0.95 <= factor.min() < 0.951
    assert 1.049 < factor.max() <= 1.05
    np.testing.assert_allclose(maps[:, :3, 3].std(axis=0), 0.2, rtol=0.1)
    mirrored = np.linalg.det(maps[:, :3, :3]) < 0
    assert 0.45 < mirrored.mean() < 0.55
    turn = np.arctan2(maps[~mirrored, 1, 0], maps[~mirrored, 0, 0])  # flipping twice turns by pi
    turn = (turn + math.pi / 2) % math.pi - math.pi / 2
    assert 0.77 < np.abs(turn).max() <= math.pi / 4 + 1e-9


def test_one_number_shifts_all_axes_and_flips_that_come_last_mirror_the_shift() -> None:
    rng = np.random.default_rng(0)
    cfg = AugmentConfig(translation_m=0.2, shift="one_number", flips="last")
    maps = np.array([draw_transform(rng, cfg) for _ in range(200)])
    shift_m = maps[:, :3, 3]
    np.testing.assert_array_equal(np.abs(shift_m[:, :2]), np.abs(shift_m[:, [2, 2]]))
    mirrored = shift_m[:, :2] != shift_m[:, [2, 2]]
    # Each axis is mirrored in half of 200 draws: 5 standard deviations are 35.
    assert (np.abs(mirrored.sum(axis=0) - 100) <= 35).all()
    np.testing.assert_array_equal(mirrored.sum(axis=1) == 1, np.linalg.det(maps[:, :3, :3]) < 0)


@pytest.mark.parametrize(("points", "objects"), [(0, 0), (0, 3), (4, 0)])
def test_frames_without_points_or_objects(points: int, objects: int) -> None:
    frame = make_frame(9, num_points=points, num_objects=objects)
    moved = augment(frame, np.random.default_rng(0), AugmentConfig())
    assert moved.points.shape == (points, 8)
    assert len(moved.ground_truth) == objects
