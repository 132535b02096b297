"""Waymo Open Dataset files: records, range images and labels in and out, without TensorFlow."""

from pcdet_poly.waymo.decode import decode_frame, decode_scan, convert_scan
from pcdet_poly.waymo.encode import encode_scan
from pcdet_poly.waymo.range_image import convert_range_images
from pcdet_poly.waymo.read import read_frames
from pcdet_poly.waymo.scan import LidarScan, Scan
from pcdet_poly.waymo.tfrecord import read_records, write_records
from pcdet_poly.waymo.v2.read import read_frames_v2, read_scans_v2, list_segments_v2
from pcdet_poly.waymo.v2.write import write_segment_v2

__all__ = [
    "LidarScan",
    "Scan",
    "decode_frame",
    "decode_scan",
    "encode_scan",
    "convert_scan",
    "convert_range_images",
    "read_frames",
    "read_frames_v2",
    "read_records",
    "read_scans_v2",
    "list_segments_v2",
    "write_records",
    "write_segment_v2",
]
