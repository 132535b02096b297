"""Waymo Open Dataset files: records, range images and labels in and out, without TensorFlow.

Functions of version 2, which need pyarrow, are loaded when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pcdet_poly.waymo.decode import convert_scan, decode_frame, decode_scan
from pcdet_poly.waymo.encode import encode_scan
from pcdet_poly.waymo.range_image import convert_range_images
from pcdet_poly.waymo.read import read_frames
from pcdet_poly.waymo.scan import LidarScan, Scan
from pcdet_poly.waymo.tfrecord import read_records, write_records

if TYPE_CHECKING:
    from pcdet_poly.waymo.v2.read import list_segments_v2, read_frames_v2, read_scans_v2
    from pcdet_poly.waymo.v2.write import write_segment_v2

__all__ = [
    "LidarScan",
    "Scan",
    "convert_range_images",
    "convert_scan",
    "decode_frame",
    "decode_scan",
    "encode_scan",
    "list_segments_v2",
    "read_frames",
    "read_frames_v2",
    "read_records",
    "read_scans_v2",
    "write_records",
    "write_segment_v2",
]


def __getattr__(name: str) -> Any:
    """Load a function of version 2."""
    if name in ("list_segments_v2", "read_frames_v2", "read_scans_v2"):
        from pcdet_poly.waymo.v2 import read

        return getattr(read, name)
    if name == "write_segment_v2":
        from pcdet_poly.waymo.v2.write import write_segment_v2

        return write_segment_v2
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
