"""What one frame must satisfy: its points, its labels, its pose, zones and calibrations."""

from __future__ import annotations

from collections.abc import Iterator

from pcdet_poly.checks.boxes import find_box_faults
from pcdet_poly.checks.calibrations import find_calibration_faults
from pcdet_poly.checks.findings import Finding
from pcdet_poly.checks.labels import find_label_faults
from pcdet_poly.checks.points import find_point_faults
from pcdet_poly.checks.poses import find_pose_fault
from pcdet_poly.checks.zones import find_zone_faults
from pcdet_poly.structures import Frame


def find_frame_faults(frame: Frame) -> Iterator[Finding]:
    """Yield what cannot or should not be in one frame, whatever its neighbours hold."""
    yield from find_point_faults(frame.points, frame.columns)
    yield from find_box_faults(frame.ground_truth.box)
    yield from find_label_faults(frame.ground_truth, frame.class_names)
    most = frame.ground_truth.num_points.max(initial=0)
    if most > len(frame.points) > 0:
        yield Finding("many points", f"a box labelled with {most} points, and the frame has {len(frame.points)}", False)
    fault = find_pose_fault(frame.world_from_vehicle)
    if fault:
        yield fault
    else:
        yield from find_zone_faults(frame.no_label_zones, frame.world_from_vehicle)
    yield from find_calibration_faults(frame.calibrations)
    if frame.timestamp_us < 0:
        yield Finding("timestamp", f"a timestamp of {frame.timestamp_us} us; times count from 0 on")
