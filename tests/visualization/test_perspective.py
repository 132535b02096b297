"""Perspective pictures: where points land, what hides what, boxes beside and behind the eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from pcdet_poly.visualization.boxes import box_corners, box_lines
from pcdet_poly.visualization.perspective import GROUND, Camera, DrawnBoxes, draw_perspective, paint_points

RED, BLUE = np.array([[255, 0, 0]], np.uint8), np.array([[0, 0, 255]], np.uint8)


def test_projection_equals_a_pinhole_camera_by_hand() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-10, 10, (50, 3))
    camera = Camera(yaw_rad=2.1, pitch_rad=0.4, distance_m=50.0, target=(1.0, -2.0, 0.5))
    eye = np.array([np.cos(0.4) * np.cos(2.1), np.cos(0.4) * np.sin(2.1), np.sin(0.4)]) * 50 + [1, -2, 0.5]
    forward = (np.array([1, -2, 0.5]) - eye) / 50
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    for point, (u, v, depth) in zip(xyz, camera.project(xyz, 600, 400), strict=True):
        ray = point - eye
        assert depth == pytest.approx(ray @ forward)
        assert u == pytest.approx(300 + 0.95 * 400 * (ray @ right) / (ray @ forward))
        assert v == pytest.approx(200 - 0.95 * 400 * (ray @ up) / (ray @ forward))


def test_from_behind_left_is_left_and_forward_is_up() -> None:
    left, forward = Camera().project(np.array([[0.0, 5.0, 0.0], [5.0, 0.0, 0.0]]), 600, 400)
    assert left[0] < 300
    assert forward[1] < 200


def test_near_points_hide_far_ones_whatever_their_order() -> None:
    camera = Camera(pitch_rad=0.0, distance_m=30.0)  # looks along +x from x = -30
    near_and_far = np.array([[-20.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
    for xyz, colour in (
        (near_and_far, np.vstack([RED, BLUE])),
        (near_and_far[::-1], np.vstack([BLUE, RED])),
    ):
        assert tuple(paint_points(xyz, colour, camera, 60, 40)[20, 30]) == (255, 0, 0)


def test_points_behind_the_eye_and_beside_the_picture_leave_no_ink() -> None:
    xyz = np.array([[-50.0, 0.0, 0.0], [0.0, 500.0, 0.0], [-30.0, 0.0, 0.0], [np.nan, 0, 0]])
    image = paint_points(xyz, np.repeat(RED, 4, axis=0), Camera(pitch_rad=0.0, distance_m=30.0), 60, 40)
    assert (image == GROUND).all()


def test_lines_end_before_the_eye() -> None:
    camera = Camera(pitch_rad=0.0, distance_m=30.0)
    lines = np.array([[[0.0, 0, 0], [-60.0, 0, 0]], [[-40.0, 0, 0], [-50.0, 1, 0]], [[0.0, 1, 0], [5.0, 1, 0]]])
    crossing, behind, before = camera.clip_lines(lines)
    np.testing.assert_allclose(crossing, [[0, 0, 0], [-29.5, 0, 0]])
    assert np.isnan(behind).all()
    np.testing.assert_array_equal(before, lines[2])


def test_corners_equal_a_rotation_by_hand() -> None:
    rng = np.random.default_rng(1)
    box = rng.uniform(0.5, 5, (9, 7))
    for (x, y, z, length, width, height, heading), corners in zip(box, box_corners(box), strict=True):
        turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
        own = [(a * length / 2, b * width / 2) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1), (0, 0), (1, 0))]
        around = np.array(own) @ turn.T + [x, y]
        np.testing.assert_allclose(corners[:4, :2], around[:4])
        np.testing.assert_allclose(corners[4:8, :2], around[:4])
        np.testing.assert_allclose(corners[8:, :2], around[4:])
        np.testing.assert_allclose(corners[:, 2], [z - height / 2] * 4 + [z + height / 2] * 4 + [z - height / 2] * 2)


def test_every_edge_is_as_long_as_a_side() -> None:
    lines = box_lines(np.array([[1.0, 2.0, 3.0, 5.0, 2.0, 1.5, 0.7]]))[0]
    lengths = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)
    assert sorted(lengths.round(6)) == sorted([5.0] * 4 + [2.0] * 4 + [1.5] * 4 + [2.5])


@pytest.mark.parametrize("size", [(300, 200), (1400, 800)])
def test_picture_has_its_size_and_boxes_leave_ink(tmp_path: Path, size: tuple[int, int]) -> None:
    none, box = np.zeros((0, 3), np.float32), np.array([[5.0, 0, 0, 4, 2, 2, 0.3], [-60, 0, 0, 4, 2, 2, 0]])
    pictures = []
    for name, boxes in (("a", []), ("b", [DrawnBoxes(box, np.repeat(RED, 2, axis=0), dashed=False, texts=["x", "y"])])):
        draw_perspective(tmp_path / f"{name}.png", none, none.astype(np.uint8), boxes, size_px=size)
        pictures.append(imread(tmp_path / f"{name}.png")[..., :3])
    assert pictures[0].shape == (size[1], size[0], 3)
    changed = (pictures[0] != pictures[1]).any(axis=-1)
    rows = np.nonzero(changed)[0]
    assert changed.sum() > 50
    assert rows.max() < 0.75 * size[1], "only the box before the eye is drawn"
