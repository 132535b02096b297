"""KITTI's object detection data -> frames: clouds, labels in the camera's frame, calibrations.

A folder (training or testing) holds velodyne/000000.bin, calib/000000.txt and, where there are labels,
label_2/000000.txt. Boxes are given in the rectified camera frame (x right, y down, z forward) with the middle of
their bottom, and are turned by R0_rect and Tr_velo_to_cam. Only what the left colour camera sees is labelled, so
only those points are kept. Frames are no sequence: their times are their numbers in seconds, too far apart for sweeps.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcdet_poly.checks.poses import find_pose_fault
from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.formats.cloud_files import KITTI_HEIGHT_M, read_kitti_cloud
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.formats.labelled_frame import FileBoxes, make_labelled_frame
from pcdet_poly.data.convert.formats.rigid_motion import move_boxes
from pcdet_poly.data.store.source_fingerprint import Source, describe_source, natural_sort_key
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance

DEFAULT_NAMES = {
    **dict.fromkeys(("Car", "Van", "Truck"), "VEHICLE"),
    **dict.fromkeys(("Pedestrian", "Person_sitting"), "PEDESTRIAN"),
    "Cyclist": "CYCLIST",
}
DROPPED_NAMES = ("DontCare", "Misc", "Tram")
_IMAGE_SIZE = (1242, 375)  # of most of KITTI's pictures, where the picture itself is not at hand
_NUM_FIELDS = 15
_US_PER_FRAME = 1_000_000


@dataclass(frozen=True)
class Calibration:
    """The camera that labels were made in."""

    camera_from_lidar: np.ndarray  # (4, 4) into the rectified camera frame
    projection: np.ndarray  # (3, 4) of the left colour camera, P2


def list_kitti_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe KITTI's folders: each of `inputs` that has velodyne/ in it, or whose folder training/ has."""
    sources = []
    for folder in map(Path, inputs):
        split = folder if (folder / "velodyne").is_dir() else folder / "training"
        clouds = list_clouds(split)
        if not clouds:
            raise UserError(
                f"{folder}: no velodyne/*.bin in it, nor in its training/; name KITTI's object folder "
                "(raw drives and tracking data are other formats)"
            )
        files = [
            other for cloud in clouds for other in (cloud, _find_beside(cloud, "label_2"), _find_beside(cloud, "calib"))
        ]
        sources.append(describe_source(split.resolve(), [file for file in files if file.is_file()]))
    return sources


def list_clouds(split: Path) -> list[Path]:
    """List the clouds of a split in the order of their numbers."""
    return sorted((split / "velodyne").glob("*.bin"), key=natural_sort_key)


def read_kitti(
    path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions
) -> Iterator[Frame]:
    """Yield the frames of a split.

    Args:
        path: folder of the split.
        advance: called with the number of bytes of each cloud.
        report_error: called with a `UserError` for each frame that cannot be read.
        options: names of classes; times are no part of the format.
    """
    for number, cloud in enumerate(list_clouds(Path(str(path)))):
        advance(cloud.stat().st_size)
        try:
            index = int(cloud.stem) if cloud.stem.isdecimal() else number
            frame = read_kitti_frame(cloud, path.name, index * _US_PER_FRAME, options)
        except UserError as error:
            report_error(error)
            continue
        yield frame


def read_kitti_frame(cloud: Path, segment: str, timestamp_us: int, options: ImportOptions) -> Frame:
    """Read one frame.

    Args:
        cloud: file in velodyne/; labels and calibration lie in folders beside that.
        segment: name of the frame's segment.
        timestamp_us: of the frame.
        options: names of classes.

    Raises:
        UserError: where a file is missing or cannot be read.
    """
    calibration = read_calibration(_find_beside(cloud, "calib"))
    points = keep_seen_points(read_kitti_cloud(cloud), calibration, _read_image_size(cloud))
    labels = _find_beside(cloud, "label_2")
    boxes = read_labels(labels, calibration) if labels.parent.is_dir() else FileBoxes.empty()
    return make_labelled_frame(
        points, boxes, options.names, where=str(labels), segment=segment, timestamp_us=timestamp_us, pose=np.eye(4)
    )


def read_calibration(path: Path) -> Calibration:
    """Read P2, R0_rect and Tr_velo_to_cam of a calibration file; raise `UserError` for one that cannot be right."""
    values = {}
    for line in _read_lines(path):
        name, _, numbers = line.partition(":")
        values[name.strip()] = _parse_numbers(numbers.split(), str(path))
    for name, count in (("P2", 12), ("R0_rect", 9), ("Tr_velo_to_cam", 12)):
        if len(values.get(name, ())) != count:
            raise UserError(f"{path}: {name} with {count} numbers needed; fetch the file again")
    rectify, lidar = np.eye(4), np.eye(4)
    rectify[:3, :3] = np.reshape(values["R0_rect"], (3, 3))
    lidar[:3] = np.reshape(values["Tr_velo_to_cam"], (3, 4))
    for name, motion in (("R0_rect", rectify), ("Tr_velo_to_cam", lidar)):
        if fault := find_pose_fault(motion):
            raise UserError(f"{path}: {name}: {fault.text}; fetch the file again")
    return Calibration(rectify @ lidar, np.reshape(values["P2"], (3, 4)))


def read_labels(path: Path, calibration: Calibration) -> FileBoxes:
    """Read the boxes of a label file into the vehicle frame, whose origin is on the ground below the LiDAR."""
    rows = [line.split() for line in _read_lines(path)]
    if bad := next((row for row in rows if len(row) not in (_NUM_FIELDS, _NUM_FIELDS + 1)), None):
        raise UserError(f"{path}: '{' '.join(bad)[:60]}' has {len(bad)} fields, {_NUM_FIELDS} needed; fetch it again")
    rows = [row for row in rows if row[0] != "DontCare"]  # regions of the picture, no boxes
    numbers = np.array([_parse_numbers(row[8:_NUM_FIELDS], str(path)) for row in rows], np.float64).reshape(-1, 7)
    height, width, length, x, y, z, turn = numbers.T
    center = np.column_stack([x, y - height / 2, z])  # y points down: the middle is above the bottom
    forward = np.column_stack([np.cos(turn), np.zeros(len(turn)), -np.sin(turn)])
    vehicle_from_camera = np.linalg.inv(calibration.camera_from_lidar)
    vehicle_from_camera[2, 3] += KITTI_HEIGHT_M
    box = move_boxes(center, np.column_stack([length, width, height]), forward, vehicle_from_camera)
    return FileBoxes(box, [row[0] for row in rows])


def keep_seen_points(points: np.ndarray, calibration: Calibration, image_size: tuple[int, int]) -> np.ndarray:
    """Keep the points that the camera sees.

    Args:
        points: (P, 5) in the vehicle frame.
        calibration: of the camera.
        image_size: width and height of its picture in pixels.
    """
    lidar = points[:, :3].astype(np.float64) - (0, 0, KITTI_HEIGHT_M)
    camera = lidar @ calibration.camera_from_lidar[:3, :3].T + calibration.camera_from_lidar[:3, 3]
    u, v, depth = (camera @ calibration.projection[:, :3].T + calibration.projection[:, 3]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = u / depth, v / depth
        seen = (camera[:, 2] > 0) & (depth > 0) & (u >= 0) & (u < image_size[0]) & (v >= 0) & (v < image_size[1])
    return points[seen]


def _read_image_size(cloud: Path) -> tuple[int, int]:
    """Read width and height from the head of the frame's PNG, if it is there."""
    picture = _find_beside(cloud, "image_2", ".png")
    if picture.is_file():
        with picture.open("rb") as file:
            head = file.read(24)
        if len(head) == 24 and head[1:4] == b"PNG":
            width, height = struct.unpack(">II", head[16:24])
            return width, height
    return _IMAGE_SIZE


def _find_beside(cloud: Path, folder: str, ending: str = ".txt") -> Path:
    return cloud.parent.parent / folder / f"{cloud.stem}{ending}"


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; each cloud in velodyne/ needs its own")
    try:
        return [line for line in path.read_text("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text; fetch it again") from None


def _parse_numbers(words: Sequence[str], where: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise UserError(f"{where}: '{' '.join(words)[:60]}' are not numbers; fetch it again") from None
