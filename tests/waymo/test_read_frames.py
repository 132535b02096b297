"""Files to frames: what real records hold, and one clear line for each that cannot be read."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.protos import dataset as proto
from pcdet_poly.structures import POINT_COLUMNS, WAYMO_CLASSES
from pcdet_poly.waymo import decode_frame, decode_scan, encode_scan, read_frames, read_records, write_records
from pcdet_poly.waymo.compression import deflate
from tests.waymo.scans import make_scan


def test_frames_in_order_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "segment.tfrecord"
    write_records(path, [encode_scan(make_scan(seed)) for seed in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = list(read_frames(path))
    assert [frame.segment for frame in frames] == ["made_up_0", "made_up_1", "made_up_2"]
    assert all(frame.columns == POINT_COLUMNS and len(frame.points) for frame in frames)
    assert {*next(read_frames(str(path), returns=(2,))).points[:, 6]} == {2}


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("pvps_data_one_frame", {"VEHICLE": 37, "PEDESTRIAN": 12, "SIGN": 25, "CYCLIST": 1}),
        ("val_no_lidar", {"VEHICLE": 1, "PEDESTRIAN": 0, "SIGN": 17, "CYCLIST": 0}),
    ],
)
def test_real_records_without_lidar(real_data: Path, name: str, counts: dict[str, int]) -> None:
    """Counts as the record's own context.stats.laser_object_counts has them."""
    with pytest.warns(UserWarning, match=rf"{name}.tfrecord: record 0 has no LiDAR data") as caught:
        (frame,) = read_frames(real_data / "waymo" / f"{name}.tfrecord")
    assert len(caught) == 1
    assert frame.points.shape == (0, 8)
    found = np.bincount(frame.ground_truth.label, minlength=4).tolist()
    assert dict(zip(WAYMO_CLASSES, found, strict=True)) == counts
    assert [calibration.lidar for calibration in frame.calibrations] == [1, 2, 3, 4, 5]
    assert [len(calibration.beam_inclination_rad) for calibration in frame.calibrations] == [64, 0, 0, 0, 0]
    assert frame.context["time_of_day"] == "Day"
    assert np.isfinite(frame.ground_truth.speed).all()
    assert set(frame.ground_truth.level) <= {0, 2}  # nobody annotates LEVEL_1
    assert np.linalg.det(frame.world_from_vehicle) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["pvps_data_one_frame", "val_no_lidar"])
def test_labels_of_real_records_as_waymos_own_messages_have_them(real_data: Path, name: str) -> None:
    """Where Waymo's package is installed (`pip install --no-deps`)."""
    official = pytest.importorskip("waymo_open_dataset.dataset_pb2")
    (record,) = read_records(real_data / "waymo" / f"{name}.tfrecord")
    theirs, ours = official.Frame.FromString(record), decode_scan(record)
    for i, label in enumerate(theirs.laser_labels):
        box, truth = label.box, ours.ground_truth[i : i + 1]
        size = box.length, box.width, box.height
        expected = np.array([box.center_x, box.center_y, box.center_z, *size, box.heading], np.float32)
        np.testing.assert_array_equal(truth.box[0], expected)
        speed = np.array([label.metadata.speed_x, label.metadata.speed_y], np.float32)
        np.testing.assert_array_equal(truth.speed[0], speed)
        assert truth.track[0] == label.id
        assert truth.num_points[0] == label.num_lidar_points_in_box
        assert truth.level[0] == label.detection_difficulty_level
    np.testing.assert_array_equal(ours.world_from_vehicle.ravel(), theirs.pose.transform)
    for laser in theirs.context.laser_calibrations:
        calibration = ours.lidars[laser.name - 1].calibration
        assert calibration.lidar == laser.name
        np.testing.assert_array_equal(calibration.vehicle_from_lidar.ravel(), laser.extrinsic.transform)
        np.testing.assert_array_equal(calibration.beam_inclination_rad, laser.beam_inclinations)
        limits = laser.beam_inclination_min, laser.beam_inclination_max
        assert (calibration.beam_inclination_min_rad, calibration.beam_inclination_max_rad) == limits


def test_one_warning_per_file(tmp_path: Path) -> None:
    path = tmp_path / "cameras.tfrecord"
    write_records(path, [encode_scan(make_scan(0)), *(encode_scan(make_scan(1, returns=0)) for _ in range(3))])
    with pytest.warns(UserWarning, match="record 1 has no LiDAR data") as caught:
        frames = list(read_frames(path))
    assert len(caught) == 1
    assert [len(frame.points) > 0 for frame in frames] == [True, False, False, False]
    assert caught[0].filename == __file__


def test_decode_frame_warns_too() -> None:
    with pytest.warns(UserWarning, match="no LiDAR data"):
        assert decode_frame(encode_scan(make_scan(returns=0))).points.shape == (0, 8)


def _no_pixel_pose(frame: Any) -> None:
    frame.lasers[0].ri_return1.ClearField("range_image_pose_compressed")


def _no_top_calibration(frame: Any) -> None:
    del frame.context.laser_calibrations[0]


def _matrix(*shape: int) -> bytes:
    matrix = proto.MatrixFloat(data=np.ones(int(np.prod(shape))), shape=proto.MatrixShape(dims=shape))
    return deflate(matrix.SerializeToString())


def _set_image(shape: tuple[int, ...], lidar: int = 0, number: int = 1) -> Callable[[Any], None]:
    def change(frame: Any) -> None:
        getattr(frame.lasers[lidar], f"ri_return{number}").range_image_compressed = _matrix(*shape)

    return change


def _set_pose(frame: Any) -> None:
    frame.lasers[0].ri_return1.range_image_pose_compressed = _matrix(4, 8, 6)


def _bomb(frame: Any) -> None:
    """128 MB of zeros behind a sound first return of 576 bytes."""
    frame.lasers[0].ri_return2.range_image_compressed = zlib.compress(bytes(1 << 27), 9)


def _damage_image(frame: Any) -> None:
    frame.lasers[2].ri_return1.range_image_compressed = frame.lasers[2].ri_return1.range_image_compressed[:-9]


def _second_return_alone(frame: Any) -> None:
    frame.lasers[4].ClearField("ri_return1")


def _short_pose(frame: Any) -> None:
    frame.pose.transform.pop()


def _short_extrinsic(frame: Any) -> None:
    frame.context.laser_calibrations[1].extrinsic.transform.pop()


def _uneven_zone(frame: Any) -> None:
    frame.no_label_zones[0].x.pop()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_no_pixel_pose, "LiDAR TOP has range images but no pose per pixel"),
        (_no_top_calibration, "LiDAR TOP has range images but no calibration"),
        (_set_image((4, 9, 3)), r"LiDAR TOP, return 1: image of float32 \(4, 9, 3\), float32 \(H, W, 4\) needed"),
        (_set_image((36, 4)), r"LiDAR TOP, return 1: image of float32 \(36, 4\)"),
        (_set_image((5, 9, 4), lidar=3, number=2), r"LiDAR SIDE_RIGHT: returns of \(4, 9, 4\) and \(5, 9, 4\)"),
        (_set_image((5, 9, 4)), r"LiDAR TOP: returns of \(5, 9, 4\) and \(4, 9, 4\)"),
        (_set_image((10**8, 0, 4)), "LiDAR TOP, return 1: image of 100000000 x 0 pixels, at most 4096 x 65536 can be"),
        (_set_image((0, 10**8, 4), lidar=1), "LiDAR FRONT, return 1: image of 0 x 100000000 pixels, at most"),
        (
            _bomb,
            "LiDAR TOP, return 2: 1304[0-9]+ bytes that decompress to more than 4194304: damaged, or no range image",
        ),
        (_set_pose, r"LiDAR TOP: \(4, 8\) pixel poses for 4 x 9 pixels"),
        (_damage_image, r"LiDAR SIDE_LEFT, return 1: \d+ bytes that do not decompress"),
        (_second_return_alone, "LiDAR REAR has a second return but no first"),
        (_short_pose, "pose: 15 numbers, a 4 x 4 matrix needs 16"),
        (_short_extrinsic, "extrinsic of LiDAR FRONT: 15 numbers"),
        (_uneven_zone, "must have the same shape"),
    ],
)
def test_incomplete_records(tmp_path: Path, change: Callable[[Any], None], complaint: str) -> None:
    path = tmp_path / "broken.tfrecord"
    frame = proto.Frame.FromString(encode_scan(make_scan(4)))
    change(frame)
    write_records(path, [encode_scan(make_scan(3)), frame.SerializeToString()])
    frames = read_frames(path)
    assert next(frames).segment == "made_up_3"
    with pytest.raises(UserError, match=complaint) as caught:
        next(frames)
    place = f"{path}: record 1: frame made_up_4/{make_scan(4).timestamp_us}: "
    assert str(caught.value).startswith(place)
    assert "\n" not in str(caught.value)


def test_beams_that_do_not_fit_the_image() -> None:
    frame = proto.Frame.FromString(encode_scan(make_scan(4)))
    frame.context.laser_calibrations[0].beam_inclinations.append(1.0)
    with pytest.raises(UserError, match="LiDAR TOP: 5 beam inclinations for a range image of 4 rows"):
        decode_scan(frame.SerializeToString())


@pytest.mark.parametrize("record", [b"", b"\x0a\x05hello", b"some text that is no message", b"\x22\x02ab"])
def test_records_of_another_kind(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "other.tfrecord"
    write_records(path, [record])
    with pytest.raises(UserError, match=r"other\.tfrecord: record 0: not a (Waymo Frame|protocol buffer message)"):
        list(read_frames(path))


@pytest.mark.parametrize("returns", [(), (3,), (0, 1)])
def test_returns_that_do_not_exist(returns: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="choose from 1 and 2"):
        decode_frame(encode_scan(make_scan()), returns=returns)


def test_damaged_messages_raise_user_errors() -> None:
    """Bytes changed behind a correct checksum: a scan or a UserError, never anything else."""
    sound = encode_scan(make_scan(5))
    rng = np.random.default_rng(0)
    errors = 0
    for _ in range(1500):
        damaged = bytearray(sound)
        for position in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        try:
            with np.errstate(over="ignore"):
                decode_scan(bytes(damaged))
        except UserError:
            errors += 1
    assert 0 < errors < 1500
