"""Reads Waymo v2 files as scans and frames, equal to those from v1 files of the same frames.

Waymo's own conversion to v2 drops one thing: no-label zones as polygons. The fourth channel of the range
images still marks the points in them. If a v1 label has no speed or no level, the v2 row is empty, and is
read as NaN and 0. Boxes synchronised with cameras are not read. The testing split has no lidar_box: in a
folder named `testing` (or `testing_...`) a segment without that file has no labels. In any other folder the
file must exist: a training segment whose labels were not downloaded must not be taken for an empty road.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath, list_files_below, parse_path
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.structures import TOP_LIDAR, Frame, LidarCalibration
from pcdet_poly.waymo.decode import convert_scan
from pcdet_poly.waymo.scan import LidarScan, Scan, check_returns, get_lidar_name
from pcdet_poly.waymo.v2.component_file import is_component
from pcdet_poly.waymo.v2.image_table import ImageTable
from pcdet_poly.waymo.v2.schema import PIXEL_POSE, RETURNS, SCHEMAS
from pcdet_poly.waymo.v2.small_components import read_calibrations, read_contexts, read_labels, read_poses


def list_segments_v2(folder: str | AnyPath) -> list[str]:
    """List the segments in a v2 folder, sorted by name: those of which any needed component has a file."""
    found = {
        path.stem
        for component in SCHEMAS
        for path in list_files_below(parse_path(folder) / component)
        if is_component(path)
    }
    if not found:
        raise UserError(f"{folder}: no Waymo v2 segment; name the folder that holds {', '.join(SCHEMAS)}")
    return sorted(found)


def read_frames_v2(folder: str | AnyPath, segment: str, *, returns: Collection[int] = (1, 2)) -> Iterator[Frame]:
    """Yield the frames of a v2 segment by time, with about one in memory.

    A frame without LiDAR data has 0 points; one warning says so.

    Args:
        folder: holds a folder per component; a URL is allowed.
        segment: name of the segment.
        returns: LiDAR returns to keep: 1, 2 or both.

    Raises:
        UserError: at what cannot be read, with the path and the reason.
    """
    warned = False
    for scan in read_scans_v2(folder, segment, returns=returns):
        if not warned and not scan.has_images:
            warned = True
            warnings.warn(
                f"{folder}: frame {segment}/{scan.timestamp_us} has no LiDAR data: it has labels but 0 points",
                stacklevel=2,
            )
        yield convert_scan(scan, returns=returns)


def read_scans_v2(folder: str | AnyPath, segment: str, *, returns: Collection[int] = (1, 2)) -> Iterator[Scan]:
    """Yield the scans of a v2 segment by time, with range images up to the highest of `returns`.

    Args:
        folder: holds a folder per component; a URL is allowed.
        segment: name of the segment.
        returns: LiDAR returns to read: 1, 2 or both.

    Raises:
        UserError: at what cannot be read, with the path and the reason.
    """
    opened = SegmentV2(folder, segment, returns=returns)
    return (opened.read_scan(timestamp_us) for timestamp_us in opened.timestamps_us)


class SegmentV2:
    """One opened segment: small components in memory, range images read frame by frame.

    The rows of a file may have any order; ordered by time, as Waymo's are, they are read fast.
    """

    def __init__(self, folder: str | AnyPath, segment: str, *, returns: Collection[int] = (1, 2)) -> None:
        check_returns(returns)
        self.segment = segment
        with time_stage("parse"):
            self._poses = read_poses(folder, segment)
            self._calibrations = read_calibrations(folder, segment)
            self._labels = read_labels(folder, segment)
            self._contexts = read_contexts(folder, segment)
            self._images = ImageTable(folder, "lidar", segment, RETURNS[: max(returns)])
            self._pixel_poses = ImageTable(folder, "lidar_pose", segment, (PIXEL_POSE,), only=TOP_LIDAR)
        unknown = self._images.timestamps_us - self._poses.keys()
        if unknown:
            raise UserError(f"{self._images.path}: frame {min(unknown)} is not in vehicle_pose; fetch both files again")

    @property
    def timestamps_us(self) -> list[int]:
        """Timestamps of the frames, ascending."""
        return sorted(self._poses)

    def read_scan(self, timestamp_us: int) -> Scan:
        """Read the frame at `timestamp_us`; raise `UserError` if its images cannot be read."""
        with time_stage("parse"):
            images, pixel_poses = self._images.read(timestamp_us), self._pixel_poses.read(timestamp_us)
        with time_stage("labels"):
            ground_truth = self._labels(timestamp_us)
        try:
            return Scan(
                lidars=_make_lidar_scans(self._calibrations, images, pixel_poses),
                ground_truth=ground_truth,
                world_from_vehicle=self._poses[timestamp_us],
                timestamp_us=timestamp_us,
                segment=self.segment,
                context=self._contexts.get(timestamp_us, {}),
            )
        except UserError as error:
            raise UserError(f"{self._images.path}: frame {timestamp_us}: {error}") from error


# LiDAR -> its images (H, W, C) float32; None for an empty one.
_ImagesByLidar = Mapping[int, Sequence[np.ndarray | None]]


def _make_lidar_scans(
    calibrations: Mapping[int, LidarCalibration], images: _ImagesByLidar, pixel_poses: _ImagesByLidar
) -> tuple[LidarScan, ...]:
    for lidar in images.keys() - calibrations.keys():
        raise UserError(
            f"LiDAR {get_lidar_name(lidar)} has range images but no calibration: complete lidar_calibration"
        )
    return tuple(
        _make_lidar_scan(calibration, images.get(lidar, ()), pixel_poses.get(lidar, (None,))[0])
        for lidar, calibration in sorted(calibrations.items())
    )


def _make_lidar_scan(
    calibration: LidarCalibration, images: Sequence[np.ndarray | None], pose: np.ndarray | None
) -> LidarScan:
    name = get_lidar_name(calibration.lidar)
    returns = tuple(image for image in images if image is not None)
    if returns and images[0] is None:
        raise UserError(f"LiDAR {name} has a second return but no first")
    if returns and calibration.lidar == TOP_LIDAR and pose is None:
        raise UserError(f"LiDAR {name} has range images but no pose per pixel: complete lidar_pose")
    return LidarScan(calibration, returns, pose if returns else None)
