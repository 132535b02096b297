"""Records to scans and back: exact round trips, labels, and readers other than ours."""

from __future__ import annotations

import importlib
import zlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.protos import dataset as proto
from pcdet_poly.structures import WAYMO_CLASSES, GroundTruth, LidarCalibration
from pcdet_poly.waymo import Scan, convert_scan, decode_frame, decode_scan, encode_scan, read_records
from tests.waymo.scans import make_scan


def assert_same(a: Any, b: Any) -> None:
    """Equal in every bit, through records and tuples."""
    assert type(a) is type(b)
    if isinstance(a, (Scan, GroundTruth, LidarCalibration)) or hasattr(a, "pixel_pose"):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("options", [{}, {"returns": 1}, {"returns": 0}, {"rows": 64, "columns": 130}])
def test_round_trip(options: dict[str, int]) -> None:
    scan = make_scan(7, **options)
    assert_same(decode_scan(encode_scan(scan)), scan)


def test_round_trip_of_nothing_but_a_pose() -> None:
    scan = Scan((), GroundTruth.empty(), np.eye(4), timestamp_us=5, segment="bare")
    assert_same(decode_scan(encode_scan(scan)), scan)


def test_one_scan_one_sequence_of_bytes() -> None:
    assert encode_scan(make_scan(3)) == encode_scan(make_scan(3))
    assert encode_scan(make_scan(3)) != encode_scan(make_scan(4))


@pytest.mark.parametrize("asset", ["synth_frame.tfrecord"])
def test_round_trip_of_a_full_record(oracle: Path, asset: str) -> None:
    _assert_stable(oracle / "waymo" / asset)


@pytest.mark.parametrize("name", ["real_top_lidar_frame", "pvps_data_one_frame", "val_no_lidar"])
def test_round_trip_of_real_records(real_data: Path, name: str) -> None:
    _assert_stable(real_data / "waymo" / f"{name}.tfrecord")


def _assert_stable(path: Path) -> None:
    (record,) = read_records(path)
    scan = decode_scan(record)
    ours = encode_scan(scan)
    assert_same(decode_scan(ours), scan)
    assert encode_scan(decode_scan(ours)) == ours


def test_labels() -> None:
    """Each field of a label on its own, from a message written here."""
    record = proto.Frame.FromString(encode_scan(replace(make_scan(), ground_truth=GroundTruth.empty())))
    box = proto.Label.Box(center_x=1, center_y=2, center_z=3, length=4, width=5, height=6, heading=-7)
    record.laser_labels.add(box=box, type=4, id="first", num_lidar_points_in_box=9, detection_difficulty_level=2)
    record.laser_labels.add(type=0, id="of unknown type: left out")
    record.laser_labels.add(type=1, id="second", metadata={"speed_x": 1.5, "speed_y": -0.5, "accel_x": 9})
    truth = decode_scan(record.SerializeToString()).ground_truth
    np.testing.assert_array_equal(truth.box, [[1, 2, 3, 4, 5, 6, -7], [0] * 7])
    assert [WAYMO_CLASSES[label] for label in truth.label] == ["CYCLIST", "VEHICLE"]
    assert truth.level.tolist() == [2, 0]
    assert truth.num_points.tolist() == [9, 0]
    assert truth.track.tolist() == ["first", "second"]
    np.testing.assert_array_equal(truth.speed, [[np.nan, np.nan], [1.5, -0.5]])


def test_camera_data_changes_nothing() -> None:
    scan = make_scan(1)
    jpeg = bytes(range(256)) * 400
    field = b"\x22" + b"\x80\xa0\x06"  # Frame.images = 4, 102,400 bytes, not even a message
    assert_same(decode_scan(field + jpeg + encode_scan(scan) + field + jpeg), scan)


def test_first_return_alone_leaves_the_second_compressed() -> None:
    scan = make_scan(2)
    first = decode_scan(encode_scan(scan), returns=(1,))
    assert [len(lidar.returns) for lidar in first.lidars] == [1] * 5
    both, one = decode_frame(encode_scan(scan)), decode_frame(encode_scan(scan), returns=(1,))
    np.testing.assert_array_equal(one.points, both.points[both.points[:, 6] == 1])
    second = decode_frame(encode_scan(scan), returns=(2,))
    np.testing.assert_array_equal(second.points, both.points[both.points[:, 6] == 2])


def test_frame_of_scan_keeps_everything_else() -> None:
    scan = make_scan(6)
    frame = convert_scan(scan)
    assert_same(frame.ground_truth, scan.ground_truth)
    assert_same(frame.calibrations, tuple(lidar.calibration for lidar in scan.lidars))
    assert_same(frame.world_from_vehicle, scan.world_from_vehicle)
    assert_same(frame.no_label_zones, scan.no_label_zones)
    assert (frame.frame_id, frame.context) == (f"made_up_6/{scan.timestamp_us}", scan.context)


def test_other_readers_find_what_they_ask_for() -> None:
    """zlib streams of MatrixFloat, a pose image for TOP, and a camera projection of the right size."""
    scan = make_scan(8)
    frame = proto.Frame.FromString(encode_scan(scan))
    for laser, lidar in zip(frame.lasers, scan.lidars, strict=True):
        assert laser.name == lidar.calibration.lidar
        for message, image in zip((laser.ri_return1, laser.ri_return2), lidar.returns, strict=True):
            np.testing.assert_array_equal(_unpacked(proto.MatrixFloat, message.range_image_compressed), image)
            projection = _unpacked(proto.MatrixInt32, message.camera_projection_compressed)
            np.testing.assert_array_equal(projection, np.zeros((*image.shape[:2], 6)))
        assert bool(laser.ri_return1.range_image_pose_compressed) == (laser.name == 1)
    pose = _unpacked(proto.MatrixFloat, frame.lasers[0].ri_return1.range_image_pose_compressed)
    np.testing.assert_array_equal(pose, scan.lidars[0].pixel_pose)


def _unpacked(message: Any, compressed: bytes) -> np.ndarray:
    matrix = message.FromString(zlib.decompress(compressed))
    return np.array(matrix.data).reshape(matrix.shape.dims)


def test_waymos_own_messages_read_our_bytes() -> None:
    """Where Waymo's package is installed (`pip install --no-deps`): no field of ours is unknown to it."""
    official = pytest.importorskip("waymo_open_dataset.dataset_pb2")
    scan = make_scan(9)
    ours = encode_scan(scan)
    frame = official.Frame.FromString(ours)
    assert frame.SerializeToString(deterministic=True) == ours
    frame.DiscardUnknownFields()
    assert frame.SerializeToString(deterministic=True) == ours
    assert str(proto.Frame.FromString(ours).laser_labels[1].box) == str(frame.laser_labels[1].box)
    labels = importlib.import_module("waymo_open_dataset.label_pb2").Label
    found = frame.laser_labels
    assert [labels.Type.Name(label.type)[5:] for label in found] == [
        WAYMO_CLASSES[label] for label in scan.ground_truth.label
    ]
    assert [label.detection_difficulty_level for label in found] == scan.ground_truth.level.tolist()
    assert [label.num_lidar_points_in_box for label in found] == scan.ground_truth.num_points.tolist()
    assert [label.HasField("metadata") for label in found] == np.isfinite(scan.ground_truth.speed[:, 0]).tolist()
    assert [official.LaserName.Name.Name(laser.name) for laser in frame.lasers] == [
        "TOP",
        "FRONT",
        "SIDE_LEFT",
        "SIDE_RIGHT",
        "REAR",
    ]
    assert frame.context.stats.weather == "sunny"
