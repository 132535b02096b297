"""Waymo v2 segments as sources of a conversion. Such a segment goes by the path of its lidar file."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from pcdet_poly.data.build import Report
from pcdet_poly.data.source import Source, source_of
from pcdet_poly.errors import UserError
from pcdet_poly.parallel import Advance
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import frame_of_scan
from pcdet_poly.waymo.parquet import SegmentV2
from pcdet_poly.waymo.parquet_file import component_path
from pcdet_poly.waymo.parquet_schema import SCHEMAS


def is_v2(path: Path) -> bool:
    """Whether a path is that of a v2 component that conversion reads."""
    return path.suffix == ".parquet" and not path.name.startswith(".") and path.parent.name in SCHEMAS


def find_segments_v2(folder: Path) -> list[Path]:
    """The segments in `folder`, at any depth, also those of which just one component is there."""
    return sorted({segment_v2(path) for path in folder.rglob("*/*.parquet") if is_v2(path)})


def segment_v2(path: Path) -> Path:
    """The segment that a component's file belongs to."""
    return component_path(path.parents[1], "lidar", path.stem)


def source_of_v2(path: Path) -> Source:
    """All files of a segment as one source."""
    files = [component_path(path.parents[1], component, path.stem) for component in SCHEMAS]
    return source_of(path, [file for file in files if file.exists()])


def read_segment_v2(path: Path, advance: Advance, report: Report, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a segment; unreadable ones go to `report`. One line on stderr if LiDAR data is missing."""
    try:
        segment = SegmentV2(path.parents[1], path.stem, returns=returns)
    except UserError as error:
        report(error)
        return
    warned, num_bytes, num_frames = False, source_of_v2(path).num_bytes, len(segment.timestamps_us)
    for number, timestamp_us in enumerate(segment.timestamps_us):
        advance((number + 1) * num_bytes // num_frames - number * num_bytes // num_frames)
        try:
            scan = segment.scan(timestamp_us)
        except UserError as error:
            report(error)
            continue
        yield frame_of_scan(scan, returns=returns)
        if not warned and not scan.has_images:
            warned = True
            print(f"warning: {path}: frame {timestamp_us} has no LiDAR data: 0 points in it", file=sys.stderr)
