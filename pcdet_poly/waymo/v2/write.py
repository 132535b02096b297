"""Writes scans as the files of a Waymo v2 segment."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.parquet as pq

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.paths import AnyPath
from pcdet_poly.waymo.scan import Scan
from pcdet_poly.waymo.v2.component_file import component_path
from pcdet_poly.waymo.v2.component_rows import Row, make_image_tables, make_small_rows
from pcdet_poly.waymo.v2.schema import SCHEMAS

_LAST = "vehicle_pose"  # lists the frames: nothing of a segment can be read without it


def write_segment_v2(folder: str | AnyPath, segment: str, scans: Iterable[Scan]) -> int:
    """Write `scans` as the v2 files of `segment`, whole or not at all.

    Every file is written under a temporary name, and all are renamed when all are complete, vehicle_pose
    last. An interruption between two renames leaves a segment without it, which no reader takes for
    complete. One frame is in memory at a time, and the labels of all.

    The format cannot hold no-label zones as polygons. What a Scan does not hold (acceleration, speed along
    z, points from TOP alone, object counts) is written as the official converter writes it for a v1 record
    that does not hold it either.

    Args:
        folder: to hold a folder per component; a URL is allowed.
        segment: name of the segment, which all scans must have.
        scans: with differing timestamps and one calibration.

    Returns:
        The number of scans.

    Raises:
        UserError: if there are no scans, or they do not belong to one segment.
    """
    paths = {component: component_path(folder, component, segment) for component in SCHEMAS}
    with ExitStack() as renames:  # it renames in reverse order
        temporary = {
            component: renames.enter_context(atomic_path(paths[component]))
            for component in sorted(SCHEMAS, key=lambda component: component != _LAST)
        }
        with ExitStack() as files:
            writers = {
                component: files.enter_context(pq.ParquetWriter(path, SCHEMAS[component], write_page_checksum=True))
                for component, path in temporary.items()
            }
            number = _write_frames(writers, segment, scans)
        paths[_LAST].unlink(missing_ok=True)
    return number


def _write_frames(writers: dict[str, pq.ParquetWriter], segment: str, scans: Iterable[Scan]) -> int:
    """Write images frame by frame, a row group each, and everything else at the end; return the number of frames."""
    collected: dict[str, list[Row]] = {}
    timestamps: set[int] = set()
    for scan in scans:
        if scan.segment != segment or scan.timestamp_us in timestamps:
            raise UserError(
                f"frame {scan.segment}/{scan.timestamp_us}: the frames of {segment} need its name and differing times"
            )
        timestamps.add(scan.timestamp_us)
        for component, table in make_image_tables(scan).items():
            if len(table):
                writers[component].write_table(table)
        rows = make_small_rows(scan)
        calibrations = rows.pop("lidar_calibration")
        if collected.setdefault("lidar_calibration", calibrations) != calibrations:
            raise UserError(f"frame {segment}/{scan.timestamp_us}: v2 keeps one calibration for a whole segment")
        for component, new in rows.items():
            collected.setdefault(component, []).extend(new)
    if not timestamps:
        raise UserError(f"{segment}: no frames to write; a segment needs one")
    for component, all_rows in collected.items():
        writers[component].write_table(pa.Table.from_pylist(all_rows, schema=SCHEMAS[component]))
    return len(timestamps)
