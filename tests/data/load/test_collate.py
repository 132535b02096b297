"""Frames to a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pcdet_poly.data.load.augment import FLIP_X, rotation_matrix, scaling_matrix, transform_frame
from pcdet_poly.data.load.collate import collate, move_zones_to_vehicle
from pcdet_poly.errors import UserError
from tests.data.frames import make_frame
from tests.tolerances import FLOAT32_VALUE

CLASSES = ("CYCLIST", "VEHICLE")


def test_points_are_scaled_and_in_frame_order() -> None:
    frames = [make_frame(0, num_points=5), make_frame(1, num_points=0), make_frame(2, num_points=3)]
    batch = collate(frames, CLASSES)
    assert batch.size == 3
    assert batch.points.dtype == torch.float32
    assert batch.frame_of_point.tolist() == [0] * 5 + [2] * 3
    rows = [row for frame in frames for row in frame.points]
    for row, got in zip(rows, batch.points.tolist(), strict=True):
        wanted = [row[0], row[1], row[2], np.tanh(row[3]), row[4]]
        np.testing.assert_allclose(got, wanted, rtol=FLOAT32_VALUE)
    assert batch.frame_ids == tuple(frame.frame_id for frame in frames)


def test_labels_point_into_the_given_classes_and_others_go() -> None:
    frame = make_frame(3, num_objects=40)
    (objects,) = collate([frame], CLASSES).ground_truth
    kept = [i for i in range(40) if frame.class_names[frame.ground_truth.label[i]] in CLASSES]
    assert objects.track.tolist() == [f"track-{i}" for i in kept]
    names = [CLASSES[label] for label in objects.label.tolist()]
    assert names == [frame.class_names[frame.ground_truth.label[i]] for i in kept]
    np.testing.assert_array_equal(objects.box.numpy(), frame.ground_truth.box[kept])
    for column in (objects.box, objects.label, objects.level, objects.num_points, objects.speed):
        assert isinstance(column, torch.Tensor)
    assert isinstance(objects.track, np.ndarray)


def test_speeds_in_the_world_turn_mirror_and_scale_with_the_frame() -> None:
    """`vehicle_from_world` of an augmented frame moves a speed as the augmentation moves the step of one second."""
    frame = make_frame(2, num_objects=6)
    speed = np.concatenate([frame.ground_truth.speed, np.zeros((6, 1), np.float32)], axis=1)
    change = scaling_matrix(1.05) @ rotation_matrix(0.7) @ FLIP_X
    plain, changed = collate([frame, transform_frame(frame, change)], CLASSES).vehicle_from_world.numpy()
    before = speed @ np.linalg.inv(frame.world_from_vehicle[:3, :3]).T
    # Speeds below 32 m/s times a float32 matrix, three products each: roundings of 2e-6 m/s.
    np.testing.assert_allclose(speed @ plain.T, before, atol=1e-4)
    x, y, z = before[:, 0], -before[:, 1], before[:, 2]
    turned = [x * np.cos(0.7) - y * np.sin(0.7), x * np.sin(0.7) + y * np.cos(0.7), z]
    # The same, with two matrices more.
    np.testing.assert_allclose(speed @ changed.T, 1.05 * np.stack(turned, axis=1), atol=1e-4)


def test_columns_are_found_by_name() -> None:
    frame = make_frame(4, num_points=6)
    order = [7, 4, 0, 3, 2, 1]
    other = replace(frame, points=frame.points[:, order], columns=tuple(frame.columns[i] for i in order))
    torch.testing.assert_close(collate([other], CLASSES).points, collate([frame], CLASSES).points, rtol=0, atol=0)


def test_huge_intensities_stay_finite() -> None:
    frame = make_frame(5)
    frame.points[:, 3] = 139_264
    assert collate([frame], CLASSES).points[:, 3].unique().tolist() == [1.0]


def test_the_frames_are_left_alone() -> None:
    frame = make_frame(6)
    points, label = frame.points.copy(), frame.ground_truth.label.copy()
    batch = collate([frame], CLASSES)
    batch.points.zero_()
    np.testing.assert_array_equal(frame.points, points)
    np.testing.assert_array_equal(frame.ground_truth.label, label)


def test_classes_are_joined_by_name_and_none_that_is_known_is_the_users_mistake() -> None:
    frame = make_frame(7)
    (known,), (more,) = (collate([frame], classes).ground_truth for classes in (("VEHICLE",), ("BUS", "VEHICLE")))
    assert len(more) == len(known) > 0
    assert set(more.label.tolist()) == {1}
    with pytest.raises(UserError, match=r"data\.classes: BUS: no class of frame"):
        collate([frame], ("BUS",))


def test_zones_come_into_the_vehicle_frame_and_follow_its_changes() -> None:
    # The vehicle stands at (100, 50, 7) and looks along the world's +y: what is 3 m ahead is at world (100, 53).
    pose = rotation_matrix(np.pi / 2)
    pose[:3, 3] = 100, 50, 7
    frame = replace(
        make_frame(0), world_from_vehicle=pose, no_label_zones=(np.array([[100.0, 53], [98, 53], [98, 55]]),)
    )
    (zone,) = move_zones_to_vehicle(frame)
    # float64 all the way: 100 m have roundings of 1e-14 m.
    np.testing.assert_allclose(zone, [[3, 0], [3, 2], [5, 2]], atol=1e-9)
    turned = transform_frame(frame, rotation_matrix(0.3))
    # The same.
    np.testing.assert_allclose(move_zones_to_vehicle(turned)[0], zone @ rotation_matrix(0.3)[:2, :2].T, atol=1e-9)
    assert len(collate([frame, frame], CLASSES).no_label_zones) == 2
