"""Waymo's messages with plausible forms and wrong contents: what is planted, what is said. One row a case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.data.convert.from_waymo import convert_waymo
from pcdet_poly.errors import UserError
from pcdet_poly.protos import dataset as proto
from pcdet_poly.waymo import LidarScan, Scan, encode_scan
from pcdet_poly.waymo.tfrecord import write_records
from pcdet_poly.waymo.v2.write import write_segment_v2
from tests.waymo.plain_scans import NUM_OBJECTS, START_US, make_plain_scans

Spoil = Callable[[list[Scan]], Sequence[Scan]]


def in_frame(number: int, change: Callable[[Scan], Scan]) -> Spoil:
    return lambda scans: [change(scan) if i == number else scan for i, scan in enumerate(scans)]


def in_all(change: Callable[[Scan], Scan]) -> Spoil:
    """A segment of version 2 has one calibration for all frames."""
    return lambda scans: [change(scan) for scan in scans]


def lidar(which: int, change: Callable[[LidarScan], LidarScan]) -> Callable[[Scan], Scan]:
    return lambda scan: replace(
        scan, lidars=tuple(change(one) if i == which else one for i, one in enumerate(scan.lidars))
    )


def pixels(channel: int, value: float, where: Any = slice(None), which: int = 0) -> Callable[[Scan], Scan]:
    def change(one: LidarScan) -> LidarScan:
        for image in one.returns:
            image[where, :, channel] = value
        return one

    return lidar(which, change)


def scaled(factor: float) -> Callable[[Scan], Scan]:
    def change(scan: Scan) -> Scan:
        for one in scan.lidars:
            for image in one.returns:
                image[..., 0] *= factor
        return scan

    return change


def calibrated(which: int = 0, **fields: Any) -> Callable[[Scan], Scan]:
    return lidar(which, lambda one: replace(one, calibration=replace(one.calibration, **fields)))


def mounted(change: Callable[[np.ndarray], np.ndarray], which: int = 0) -> Callable[[Scan], Scan]:
    def move(one: LidarScan) -> LidarScan:
        mounting = change(one.calibration.vehicle_from_lidar.copy())
        return replace(one, calibration=replace(one.calibration, vehicle_from_lidar=mounting))

    return lidar(which, move)


def labels(**columns: Any) -> Callable[[Scan], Scan]:
    return lambda scan: replace(scan, ground_truth=replace(scan.ground_truth, **columns))


def boxes(column: int, value: float) -> Callable[[Scan], Scan]:
    def change(scan: Scan) -> Scan:
        scan.ground_truth.box[2, column] = value
        return scan

    return change


def raise_boxes(scan: Scan) -> Scan:
    scan.ground_truth.box[:, 2] += 8
    return labels(num_points=np.full(NUM_OBJECTS, 60))(scan)


def pixel_poses(channel: int, value: float) -> Callable[[Scan], Scan]:
    def change(one: LidarScan) -> LidarScan:
        assert one.pixel_pose is not None
        one.pixel_pose[..., channel] = value
        return one

    return lidar(0, change)


ANGLES = np.linspace(-0.35, 0.05, 16)
# name -> what is wrong in a segment of three scans, what is said, whether it stops. v1 and v2 alike.
SCANS: dict[str, tuple[Spoil, str, bool]] = {
    "no range is a number": (
        in_frame(1, lambda s: pixels(0, np.nan, which=1)(pixels(0, np.nan)(s))),
        "no points",
        False,
    ),
    "negative ranges": (in_frame(1, lambda s: pixels(0, -1, which=1)(pixels(0, -1)(s))), "no points in it", False),
    "an infinite range": (in_frame(1, pixels(0, np.inf, 3)), "points are not finite, the first is point", True),
    "ranges in millimetres": (in_frame(1, scaled(1000)), "centimetres or millimetres", True),
    "ranges in kilometres": (in_frame(1, scaled(1e-4)), "small-cloud", True),
    "intensity that is NaN": (in_frame(1, pixels(1, np.nan, 2)), "intensity = nan", True),
    "elongation that is NaN": (in_frame(1, pixels(2, np.nan, 2)), "elongation = nan", True),
    "elongation of thousands": (in_frame(1, pixels(2, 5000.0)), "where Waymo's are from 0 to 1.5", False),
    "negative intensity": (in_frame(1, pixels(1, -2.0)), "an intensity is -2", False),
    "inclinations that fall": (in_all(calibrated(beam_inclination_rad=ANGLES[::-1])), "do not rise from", True),
    "an inclination twice": (
        in_all(calibrated(beam_inclination_rad=np.sort(np.repeat(ANGLES[::2], 2)))),
        "do not rise",
        True,
    ),
    "inclinations in degrees": (in_all(calibrated(beam_inclination_rad=np.degrees(ANGLES))), "beyond a quarter", True),
    "an infinite inclination": (
        in_all(calibrated(beam_inclination_rad=np.where(ANGLES > 0, np.inf, ANGLES))),
        "inclination that is not",
        True,
    ),
    "limits exchanged": (
        in_all(calibrated(1, beam_inclination_min_rad=0.05, beam_inclination_max_rad=-0.35)),
        "do not rise",
        True,
    ),
    "a mounting that scales": (
        in_all(mounted(lambda m: np.diag([2.0, 2, 2, 1]) @ m)),
        "LiDAR 1: a mounting, a pose",
        True,
    ),
    "a mounting that mirrors": (in_all(mounted(lambda m: m @ np.diag([1.0, -1, 1, 1]))), "mirrors", True),
    "a mounting of zeros": (in_all(mounted(lambda m: 0 * m, 1)), "LiDAR 2: a mounting, a pose", True),
    "a transposed mounting": (in_all(mounted(lambda m: m.T)), "LiDAR 1: a mounting, a pose", True),
    "a mounting in millimetres": (
        in_all(mounted(lambda m: m + np.eye(4, k=3) * 1500)),
        "from the vehicle's origin",
        True,
    ),
    "a pose of zeros": (
        in_frame(1, lambda s: replace(s, world_from_vehicle=np.zeros((4, 4)))),
        "no rigid motion",
        True,
    ),
    "a pose that is NaN": (
        in_frame(1, lambda s: replace(s, world_from_vehicle=s.world_from_vehicle * np.nan)),
        "no rigid",
        True,
    ),
    "pixel poses of zeros": (in_frame(1, pixel_poses(3, 0.0)), "half of the points are farther than", True),
    "pixel poses that are NaN": (in_frame(1, pixel_poses(4, np.nan)), "points are not finite", True),
    "a pose of another drive": (
        in_frame(1, lambda s: replace(s, world_from_vehicle=s.world_from_vehicle + 9e4 * np.eye(4, k=3))),
        "farther than",
        True,
    ),
    "a negative height": (in_frame(1, boxes(5, -1.6)), "must be positive", True),
    "a length of 4.5 km": (in_frame(1, boxes(3, 4500.0)), "millimetres? sizes", True),
    "a heading that is NaN": (in_frame(1, boxes(6, np.nan)), "1 boxes are not finite", True),
    "a heading in degrees": (in_frame(1, boxes(6, 90.0)), "beyond two turns: degrees?", True),
    "a box in the world": (in_frame(1, boxes(1, -2098.0)), "coordinates of the world", True),
    "a negative count": (in_frame(1, labels(num_points=np.full(NUM_OBJECTS, -1))), "a negative number of points", True),
    "no counts": (
        lambda _: in_all(labels(num_points=np.zeros(NUM_OBJECTS, np.int64)))(make_plain_scans(21)),
        "are labelled with 0",
        False,
    ),
    "one track twice": (in_frame(1, labels(track=np.array(["a"] * NUM_OBJECTS))), "track a is there 5 times", False),
    "an infinite speed": (
        in_frame(1, labels(speed=np.full((NUM_OBJECTS, 2), np.inf, np.float32))),
        "a speed of inf m/s",
        True,
    ),
    "speeds in km per hour": (
        in_frame(1, labels(speed=np.full((NUM_OBJECTS, 2), 200, np.float32))),
        "a speed of 200 m/s",
        False,
    ),
    "labels of another frame": (
        in_frame(1, raise_boxes),
        "none of its 5 boxes labelled with 40 points or more holds one",
        False,
    ),
    "one LiDAR is missing": (
        in_frame(1, lidar(1, lambda one: replace(one, returns=()))),
        "LiDAR FRONT has 0 returns, and 2 in the first; 1 of 3",
        False,
    ),
    "one return is missing": (
        in_frame(1, lidar(0, lambda one: replace(one, returns=one.returns[:1]))),
        "LiDAR TOP has 1 returns, and 2",
        False,
    ),
    "an hour later": (
        in_frame(2, lambda s: replace(s, timestamp_us=START_US + 3_600_000_000)),
        "after the frame before it; sweeps",
        False,
    ),
    "nothing wrong": (lambda scans: scans, "", False),
}


def convert(source: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, bool]:
    """What is said, and whether it stops."""
    try:
        warnings = convert_waymo([str(source)], store).warnings
    except UserError as error:
        return str(error), True
    return "\n".join([*warnings, capsys.readouterr().err]).strip(), False


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("name", SCANS)
def test_contents_that_cannot_be_meant(
    name: str, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, says, stops = SCANS[name]
    scans = spoil(make_plain_scans())
    if version == "v1":
        write_records(tmp_path / "plain.tfrecord", map(encode_scan, scans))
    else:
        write_segment_v2(tmp_path / "v2", "plain", scans)
    said, stopped = convert(tmp_path / ("plain.tfrecord" if version == "v1" else "v2"), tmp_path / "store", capsys)
    assert stopped == stops, said
    assert says in said
    assert bool(said) == bool(says), said
    if stopped:
        assert "plain/1553735853" in said or "frame 1553735853" in said, "the frame is named"


def edited(number: int, change: Callable[[Any], None]) -> Callable[[list[bytes]], Sequence[bytes]]:
    """Change one message."""

    def spoil(records: list[bytes]) -> Sequence[bytes]:
        frame = proto.Frame.FromString(records[number])
        change(frame)
        return [frame.SerializeToString() if i == number else one for i, one in enumerate(records)]

    return spoil


def set_types(value: int) -> Callable[[Any], None]:
    def change(frame: Any) -> None:
        for label in frame.laser_labels:
            label.type = value

    return change


def drop_inclinations(frame: Any) -> None:
    del frame.context.laser_calibrations[0].beam_inclinations[5:]


def cut_extrinsic(frame: Any) -> None:
    del frame.context.laser_calibrations[0].extrinsic.transform[12:]


def set_zone(x: Sequence[float], y: Sequence[float]) -> Callable[[Any], None]:
    def change(frame: Any) -> None:
        frame.no_label_zones[0].CopyFrom(proto.Polygon2dProto(x=x, y=y))

    return change


def set_all(value: Any, *path: str) -> Callable[[Any], None]:
    def change(frame: Any) -> None:
        for name in path[:-1]:
            frame = getattr(frame, name)
        setattr(frame, path[-1], value)

    return change


# name -> what is wrong in the records of one file, what is said, whether it stops
RECORDS: dict[str, tuple[Callable[[list[bytes]], Sequence[bytes]], str, bool]] = {
    "frames out of order": (lambda r: [r[0], r[2], r[1]], "is before that of the frame before it", True),
    "a frame twice": (lambda r: [r[0], r[1], r[1]], "two frames of this segment have the time", True),
    "another segment's frame": (edited(1, set_all("other", "context", "name")), "other", True),
    "no name": (edited(1, set_all("", "context", "name")), "no context name or no pose", True),
    "no pose": (edited(1, lambda f: f.ClearField("pose")), "no context name or no pose", True),
    "a pose of twelve numbers": (edited(1, lambda f: f.pose.transform.__delitem__(slice(12, None))), "needs 16", True),
    "a mounting of twelve numbers": (edited(1, cut_extrinsic), "needs 16", True),
    "no time": (edited(1, set_all(0, "timestamp_micros")), "is before that of the frame before it", True),
    "a negative time": (edited(0, set_all(-5, "timestamp_micros")), "a timestamp of -5 us", True),
    "types of no class": (edited(1, set_types(0)), "none of its 5 laser_labels has a type from 1 to 4", True),
    "beams for other rows": (edited(1, drop_inclinations), "5 beam inclinations for a range image of 16 rows", True),
    "no calibrations": (edited(1, lambda f: f.context.ClearField("laser_calibrations")), "but no calibration", True),
    "no second return's first": (
        edited(1, lambda f: f.lasers[0].ri_return1.Clear()),
        "a second return but no first",
        True,
    ),
    "no poses per pixel": (
        edited(1, lambda f: f.lasers[0].ri_return1.ClearField("range_image_pose_compressed")),
        "no pose per pixel",
        True,
    ),
    "images of another LiDAR": (edited(1, lambda f: setattr(f.lasers[0], "name", 3)), "but no calibration", True),
    "a zone without corners": (edited(1, set_zone([], [])), "has 0 corners, a polygon needs 3", True),
    "a zone that is NaN": (edited(1, set_zone([np.nan, 9, 9], [30, 30, 40])), "a corner that is not finite", True),
    "a zone in the vehicle frame": (
        edited(1, set_zone([0, 9, 9], [30, 30, 40])),
        "zones are in the world frame",
        False,
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_messages_that_cannot_be_meant(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, says, stops = RECORDS[name]
    write_records(tmp_path / "plain.tfrecord", spoil([encode_scan(scan) for scan in make_plain_scans()]))
    said, stopped = convert(tmp_path / "plain.tfrecord", tmp_path / "store", capsys)
    assert stopped == stops, said
    assert says in said


@pytest.mark.parametrize("number", [0, 1])
def test_a_wrong_frame_is_left_out_and_named(number: int, tmp_path: Path) -> None:
    scans = in_frame(number, pixels(0, np.inf, 3))(make_plain_scans())
    write_records(tmp_path / "plain.tfrecord", map(encode_scan, scans))
    summary = convert_waymo([str(tmp_path / "plain.tfrecord")], tmp_path / "store", on_error="skip")
    (entry,) = summary.manifest.segments
    assert (entry.num_frames, len(entry.skipped)) == (2, 1)
    assert f"plain/{START_US + number * 100_000}" in entry.skipped[0]
