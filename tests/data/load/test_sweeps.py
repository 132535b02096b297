"""Several sweeps in one frame: what stands still in the world lies still, whatever the vehicle does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.sweeps import AGE, add_past_sweeps
from pcdet_poly.data.store.frame_store import Store, write_store
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import Frame
from pcdet_poly.waymo import decode_frame, encode_scan
from tests.data.frames import assert_same_frame, make_frame


def pose(yaw: float, pitch: float, position: tuple[float, float, float]) -> np.ndarray:
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    nod = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ nod
    matrix[:3, 3] = position
    return matrix


def test_landmarks_far_from_the_origin_of_the_world_line_up() -> None:
    """20 km away, where float32 world coordinates would be 1 to 2 mm off at best."""
    landmarks = np.random.default_rng(0).uniform((-60, -60, -2), (60, 60, 4), (300, 3)) + np.array([2e4, -1.5e4, 100])
    frames = []
    for i in range(4):
        world_from_vehicle = pose(0.3 - 0.1 * i, 0.02 * i, (2e4 - 3 * i, -1.5e4 + i, 100 + 0.1 * i))
        seen = (landmarks - world_from_vehicle[:3, 3]) @ world_from_vehicle[:3, :3]
        frame = make_frame(0, num_points=300)
        frame.points[:, :3] = seen
        frames.append(replace(frame, world_from_vehicle=world_from_vehicle, timestamp_us=10_000_000 - 100_000 * i))
    merged = add_past_sweeps(frames[0], frames[1:])
    for i in range(4):
        rows = merged.points[300 * i : 300 * (i + 1)]
        # Coordinates below 256 m, rounded to float32 before and after a change in float64: 8e-6 m each, on three axes.
        np.testing.assert_allclose(rows[:, :3], frames[0].points[:, :3], atol=5e-5)
        np.testing.assert_array_equal(rows[:, 3:-1], frames[i].points[:, 3:])
        # Seconds below 1 in float32.
        np.testing.assert_allclose(rows[:, -1], 0.1 * i, atol=1e-6)
    assert merged.columns == (*frames[0].columns, AGE)
    assert merged.ground_truth is frames[0].ground_truth


def test_a_simulated_street_lines_up() -> None:
    """Past points of what stands still lie on the surfaces that the present ones show, to the LiDAR's noise."""
    first, now = (decode_frame(encode_scan(scan)) for scan in simulate_segment(7, num_frames=2, interval_s=0.5))
    moved_m = np.linalg.norm((np.linalg.inv(now.world_from_vehicle) @ first.world_from_vehicle)[:2, 3])
    assert moved_m > 1
    past = add_past_sweeps(now, [first]).points[len(now.points) :, :3]
    nearest_m, surface_m = distances(past, now)
    assert nearest_m < 0.1  # beams are about that far apart
    assert surface_m < 0.02
    assert distances(first.points[:, :3], now)[0] > 0.4  # without the poses


def distances(points: np.ndarray, frame: Frame) -> tuple[float, float]:
    """Medians over points above the road within 25 m, metres: to the nearest point of `frame`, and where its
    points are dense to the plane through the eight nearest."""
    upright = points[(points[:, 2] > 0.5) & (np.linalg.norm(points[:, :2], axis=1) < 25)][::15]
    distance, index = cKDTree(frame.points[:, :3]).query(upright, k=8)
    dense = distance[:, -1] < 0.5
    patches = frame.points[index[dense], :3].astype(float)
    centre = patches.mean(axis=1)
    normal = np.linalg.svd(patches - centre[:, None], full_matrices=False)[2][:, -1]
    to_plane = abs(((upright[dense] - centre) * normal).sum(axis=1))
    return float(np.median(distance[:, 0])), float(np.median(to_plane))


def test_a_segments_start_has_no_past() -> None:
    frame = make_frame(1)
    alone = add_past_sweeps(frame, [])
    np.testing.assert_array_equal(alone.points[:, :-1], frame.points)
    assert (alone.points[:, -1] == 0).all()


def test_sweeps_with_other_columns_are_refused() -> None:
    frame = make_frame(1)
    with pytest.raises(ValueError, match="columns"):
        add_past_sweeps(frame, [replace(frame, points=frame.points[:, :5].copy(), columns=frame.columns[:5])])


def test_frames_before_a_frame_stay_in_its_segment(tmp_path: Path) -> None:
    frames = [make_frame(i, segment=f"s{i // 4}", num_points=5) for i in range(8)]
    write_store(tmp_path / "a", frames, precision="exact")
    write_store(tmp_path / "b", [make_frame(9, segment="t", num_points=5)], precision="exact")
    store = Store(tmp_path / "a")
    assert [frame.timestamp_us for frame in store.read_frames_before(6, 9)] == [frames[i].timestamp_us for i in (5, 4)]
    assert_same_frame(store.read_frames_before(7, 1)[0], frames[6])
    assert store.read_frames_before(4, 3) == store.read_frames_before(0, 1) == store.read_frames_before(7, 0) == []
    dataset = FrameDataset([tmp_path / "a", tmp_path / "b"], every=3)  # frames 0, 3, 6
    assert [frame.timestamp_us for frame in dataset.read_frames_before(1, 2)] == [
        frames[i].timestamp_us for i in (2, 1)
    ]
    assert [len(dataset.read_frames_before(i, 5)) for i in range(len(dataset))] == [0, 3, 2]
