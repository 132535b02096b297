"""Small made-up v2 segments, and ways to rewrite their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pcdet_poly.waymo import Scan, write_segment_v2
from tests.waymo.scans import make_scan

SEGMENT = "made_up"
START_US = 1_553_735_853_462_203


def make_scans(count: int = 3, **lidar_options: int | bool) -> list[Scan]:
    """Scans of one segment 0.1 s apart, with one calibration; without no-label zones, which v2 does not have."""
    scans = [make_scan(seed, **lidar_options) for seed in range(count)]
    calibrations = [lidar.calibration for lidar in scans[0].lidars]
    return [
        replace(
            scan,
            segment=SEGMENT,
            timestamp_us=START_US + 100_000 * number,
            no_label_zones=(),
            lidars=tuple(map(_calibrated, scan.lidars, calibrations)),
        )
        for number, scan in enumerate(scans)
    ]


def write_made_up(folder: Path, scans: list[Scan] | None = None) -> list[Scan]:
    """Write (and return) scans of SEGMENT."""
    scans = make_scans() if scans is None else scans
    write_segment_v2(folder, SEGMENT, scans)
    return scans


def rewrite(
    folder: Path, component: str, change: Callable[[pa.Table], pa.Table], *, row_group_size: int = 1000
) -> Path:
    """Put a component's table through `change`; the file's path."""
    path = folder / component / f"{SEGMENT}.parquet"
    pq.write_table(change(pq.read_table(path, partitioning=None)), path, row_group_size=row_group_size)
    return path


def _calibrated(lidar, calibration):  # type: ignore[no-untyped-def]
    return replace(lidar, calibration=calibration)
