"""Whole scans: repeatable, consistent in the world, labelled as the points say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely

from pcdet_poly.simulation import simulate_segment
from pcdet_poly.simulation.geometry import pose_matrix, rotation_matrices
from pcdet_poly.simulation.lidar.cast import MeshCaster
from pcdet_poly.simulation.lidar.rays import Hits
from pcdet_poly.simulation.lidar.sensor import build_waymo_lidars
from pcdet_poly.simulation.segment import list_timestamps_us, place_beams
from pcdet_poly.simulation.solids.mesh import Mesh
from pcdet_poly.simulation.street.scene import build_scene
from pcdet_poly.simulation.street.traffic import EGO_LENGTH_M
from pcdet_poly.structures import GroundTruth
from pcdet_poly.structures.polygons import find_points_in_polygons
from pcdet_poly.waymo import convert_range_images, encode_scan
from pcdet_poly.waymo.scan import LidarScan, Scan
from tests.tolerances import COORDINATE_M

TOP_SHAPE, SIDE_SHAPE = (32, 660), (100, 300)
WITH_ZONE, MOVING = 6, 3  # seeds


def scans_of(seed: int, num_frames: int = 1, interval_s: float = 0.1) -> list[Scan]:
    return list(
        simulate_segment(seed, num_frames=num_frames, interval_s=interval_s, top_shape=TOP_SHAPE, side_shape=SIDE_SHAPE)
    )


def naive_count(points: np.ndarray, box: np.ndarray, margin_m: float) -> int:
    c, s = np.cos(box[6]), np.sin(box[6])
    away = points[:, :3].astype(np.float64) - box[:3]
    along, across = away[:, 0] * c + away[:, 1] * s, away[:, 1] * c - away[:, 0] * s
    local = np.stack([along, across, away[:, 2]], axis=-1)
    return int((np.abs(local) <= box[3:6] / 2 + margin_m).all(axis=1).sum())


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again = ([encode_scan(scan) for scan in scans_of(4, 2)] for _ in range(2))
    assert first == again
    assert first[0] != first[1]
    assert encode_scan(scans_of(5)[0]) != first[0]


def test_timestamps_rise_by_the_interval() -> None:
    stamps = list_timestamps_us(4, 5, 0.1)
    assert {b - a for a, b in pairwise(stamps)} == {100_000}
    assert [scan.timestamp_us for scan in scans_of(4, 2)] == stamps[:2]
    assert list_timestamps_us(5, 1, 0.1)[0] > list_timestamps_us(4, 200, 1.0)[-1]  # segments do not overlap


@pytest.mark.parametrize("seed", [MOVING, WITH_ZONE])
def test_num_points_are_those_a_reader_counts(seed: int) -> None:
    scan = scans_of(seed)[0]
    points, truth = convert_range_images(scan, (1, 2)), scan.ground_truth
    assert len(truth) > 10
    for box, num_points in zip(truth.box.astype(np.float64), truth.num_points, strict=True):
        # Decoding rounds to float32: a point within a millimetre of a face may fall on either side.
        assert naive_count(points, box, -1e-3) <= num_points <= naive_count(points, box, 1e-3)
    assert (truth.num_points > 0).all()


def test_labels_are_as_waymo_writes_them() -> None:
    scans = [scan for seed in (MOVING, 8) for scan in scans_of(seed, 2, 1.0)]
    truth = GroundTruth.concatenate([scan.ground_truth for scan in scans])
    assert set(truth.label) == {0, 1, 2, 3}
    assert set(truth.level) <= {0, 2}
    assert (truth.level == 0).mean() > 0.7
    assert np.isfinite(truth.box).all()
    assert (np.abs(truth.box[:, 6]) <= np.pi + 1e-6).all()
    assert all(len(set(scan.ground_truth.track)) == len(scan.ground_truth) for scan in scans)


def test_tracks_move_by_their_speed() -> None:
    interval_s = 0.1
    before, after = scans_of(MOVING, 2, interval_s)
    assert np.linalg.norm((after.world_from_vehicle - before.world_from_vehicle)[:3, 3]) > 0.3
    common, first, second = np.intersect1d(before.ground_truth.track, after.ground_truth.track, return_indices=True)
    world = [
        scan.ground_truth.box[rows, :3] @ scan.world_from_vehicle[:3, :3].T + scan.world_from_vehicle[:3, 3]
        for scan, rows in ((before, first), (after, second))
    ]
    moved = (world[1] - world[0])[:, :2]
    speed = (before.ground_truth.speed[first] + after.ground_truth.speed[second]) / 2
    assert len(common) > 10
    assert np.hypot(*speed.T).max() > 3
    # A label sits where the rotating beam met its object, up to a tenth of an interval off between two frames.
    np.testing.assert_allclose(moved, speed * interval_s, atol=0.02 + 0.1 * np.abs(speed).max() * interval_s)
    still = np.hypot(*speed.T) == 0
    np.testing.assert_allclose(world[1][still], world[0][still], atol=COORDINATE_M)


def test_static_world_stays_put_while_the_ego_drives() -> None:
    """Ranges cast with rolling shutter, written as a Scan, decoded: the points lie on the mesh."""
    scenes = (build_scene(np.random.default_rng(seed), np.array([0.0, 0.5])) for seed in range(20))
    scene = next(scene for scene in scenes if scene.ego.v > 8)
    top = build_waymo_lidars(0, top_shape=TOP_SHAPE)[0]
    for time_s in (0.0, 0.5):
        beams, pixel_pose = place_beams(scene, top, time_s)
        hits = Hits.empty(top.shape)
        MeshCaster(scene.mesh).cast(beams, hits)
        near = np.isfinite(hits.range_m[0]) & (hits.range_m[0] < 75)
        image = np.full((*top.shape, 4), -1.0, np.float32)
        image[near, 0] = hits.range_m[0][near]
        (angles,), (position,) = scene.compute_ego_poses(np.array([time_s]))
        world_from_vehicle = pose_matrix(rotation_matrices(*angles), position)
        scan = Scan(
            (LidarScan(top.calibration, (image,), pixel_pose),), GroundTruth.empty(), world_from_vehicle, 0, "s"
        )
        points = convert_range_images(scan)[:, :3] @ world_from_vehicle[:3, :3].T + position
        assert len(points) > 10_000
        away = distance_to(scene.mesh, points)
        # Embree computes in float32 with world coordinates, so that errors count in units in the last place of the
        # largest of them. At most 10 such units are lost on the way: half a unit each where ray, vertices, the
        # vehicle's poses and these points are rounded, one where a direction is stretched to its range, and half a
        # unit for each of the dozen sums behind an intersection and a distance, whatever order a processor takes.
        unit_m = float(np.spacing(np.float32(max(np.abs(points).max(), np.abs(scene.mesh.vertices).max()))))
        assert np.quantile(away, 0.99) < 10 * unit_m
        # A ray that grazes an edge may go past it by its own error, to a place that no bound holds: few rays do.
        assert (away > 0.005).mean() < 1e-3


def distance_to(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    import open3d  # MeshCaster has brought in what its import needs

    scene = open3d.t.geometry.RaycastingScene()
    tensor = open3d.core.Tensor
    scene.add_triangles(tensor(mesh.vertices.astype(np.float32)), tensor(mesh.triangles.astype(np.uint32)))
    return scene.compute_distance(tensor(points.astype(np.float32))).numpy()


@pytest.mark.parametrize("seed", [2, MOVING, 9])
def test_objects_do_not_stand_in_one_another(seed: int) -> None:
    for scan in scans_of(seed, 3, 1.0):
        truth = scan.ground_truth
        solid = truth[(truth.label == 0) | (truth.label == 1)]
        ego = np.array([1.6, 0, 0, EGO_LENGTH_M, 2.1, 2, 0])
        areas = [footprint(box) for box in [ego, *solid.box]]
        tree = shapely.STRtree(areas)
        for a, b in tree.query(areas, predicate="intersects").T:
            if a < b:
                smaller = min(areas[a].area, areas[b].area)
                assert areas[a].intersection(areas[b]).area < 0.25 * smaller, (areas[a].wkt, areas[b].wkt)


def footprint(box: np.ndarray) -> shapely.Polygon:
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2 * box[3:5]
    c, s = np.cos(box[6]), np.sin(box[6])
    return shapely.Polygon(corners @ np.array([[c, s], [-s, c]]) + box[:2])


def test_no_label_zones_are_marked_and_without_labels() -> None:
    scan = scans_of(WITH_ZONE)[0]
    (zone,) = scan.no_label_zones
    points = convert_range_images(scan, (1, 2))
    turn, position = scan.world_from_vehicle[:3, :3], scan.world_from_vehicle[:3, 3]
    inside = find_points_in_polygons((points[:, :3] @ turn.T + position)[:, :2], [zone])
    assert inside.any()
    # Points within a rounding of an edge: of 100 m of them, one in a million has 1e-4 m of room.
    assert (inside != (points[:, 5] == 1)).mean() < 1e-4
    centers = (scan.ground_truth.box[:, :3] @ turn.T + position)[:, :2]
    assert not find_points_in_polygons(centers, [zone]).any()


def test_full_size_frames_look_like_waymos() -> None:
    """Bounds from real frames: 160,000-180,000 points, a tenth of them second returns, four classes around."""
    for seed in (11, 12):
        scan = next(simulate_segment(seed, num_frames=1))
        assert [lidar.returns[0].shape for lidar in scan.lidars] == [(64, 2650, 4)] + [(200, 600, 4)] * 4
        counts = [[int((image[..., 0] > 0).sum()) for image in lidar.returns] for lidar in scan.lidars]
        assert 135_000 < sum(map(sum, counts)) < 185_000
        assert 0.03 < counts[0][1] / counts[0][0] < 0.13
        assert all(2000 < first < 5000 for first, _ in counts[1:])
        intensity = np.tanh(convert_range_images(scan, (1, 2))[:, 3])
        assert 0.06 < np.median(intensity) < 0.14
        assert scan.lidars[0].pixel_pose is not None
        assert all(lidar.pixel_pose is None for lidar in scan.lidars[1:])
