"""Reads Waymo v2 segments as sources of a conversion; a segment is named by the path of its lidar file."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.lidar_presence import LidarPresence
from pcdet_poly.data.store.source_fingerprint import Source, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import convert_scan
from pcdet_poly.waymo.v2.component_file import component_path
from pcdet_poly.waymo.v2.read import SegmentV2
from pcdet_poly.waymo.v2.schema import SCHEMAS
from pcdet_poly.workers import Advance


def get_lidar_file(path: AnyPath) -> AnyPath:
    """Path of the lidar file (present or not) of the segment that a component's file belongs to."""
    return component_path(path.parent.parent, "lidar", path.stem)


def describe_source_v2(path: AnyPath) -> Source:
    """Describe all files of a segment as one source."""
    files = [component_path(path.parent.parent, component, path.stem) for component in SCHEMAS]
    return describe_source(path, [file for file in files if file.is_file()])


def read_segment_v2(
    path: AnyPath, advance: Advance, report_error: ReportError, *, returns: Collection[int]
) -> Iterator[Frame]:
    """Yield the frames of a segment by time; print a line on stderr if any has no LiDAR data, or some lack a LiDAR.

    Args:
        path: the segment's lidar file.
        advance: called before each frame with its share of the segment's bytes.
        report_error: called with a `UserError` for each frame that cannot be read.
        returns: LiDAR returns to keep: 1, 2 or both.
    """
    try:
        segment = SegmentV2(path.parent.parent, path.stem, returns=returns)
    except UserError as error:
        report_error(error)
        return
    presence = LidarPresence()
    warned, num_bytes, num_frames = False, describe_source_v2(path).num_bytes, len(segment.timestamps_us)
    for number, timestamp_us in enumerate(segment.timestamps_us):
        advance((number + 1) * num_bytes // num_frames - number * num_bytes // num_frames)
        try:
            scan = segment.read_scan(timestamp_us)
            frame = convert_scan(scan, returns=returns)
        except UserError as error:
            report_error(error)
            continue
        yield frame
        presence.look_at(scan, f"{path}: frame {timestamp_us}")
        if not warned and not scan.has_images:
            warned = True
            print_line(f"warning: {path}: frame {timestamp_us} has no LiDAR data: 0 points in it", file=sys.stderr)
    presence.print_differences()
