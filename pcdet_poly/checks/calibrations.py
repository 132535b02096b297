"""What a LiDAR's calibration must satisfy: a rigid mounting on the car, beams from the lowest to the highest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from pcdet_poly.checks.findings import Finding
from pcdet_poly.checks.poses import find_pose_fault
from pcdet_poly.structures import LidarCalibration

_MAX_MOUNT_M = 20.0  # no LiDAR is mounted farther from a car's origin


def find_calibration_faults(calibrations: Sequence[LidarCalibration]) -> Iterator[Finding]:
    """Yield what cannot be in calibrations, with which range images would become points elsewhere."""
    for one in calibrations:
        limits = one.beam_inclination_min_rad, one.beam_inclination_max_rad
        numbers = (np.asarray(x, np.float64).tobytes() for x in (one.vehicle_from_lidar, one.beam_inclination_rad))
        for reason in _list_reasons(*numbers, *limits):
            yield Finding("calibration", f"LiDAR {one.lidar}: {reason}")


@lru_cache(maxsize=16)
def _list_reasons(mounting: bytes, beams: bytes, low_rad: float, high_rad: float) -> tuple[str, ...]:
    """List what is wrong with a calibration, once for all frames of a segment, which have the same."""
    numbers = np.frombuffer(mounting, np.float64).reshape(4, 4), np.frombuffer(beams, np.float64)
    return tuple(_find_reasons(LidarCalibration(0, *numbers, low_rad, high_rad)))


def _find_reasons(one: LidarCalibration) -> Iterator[str]:
    mounting = one.vehicle_from_lidar
    if fault := find_pose_fault(mounting):
        yield f"a mounting, {fault.text}"
    elif np.abs(mounting[:3, 3]).max() > _MAX_MOUNT_M:
        yield f"mounted {np.abs(mounting[:3, 3]).max():g} m from the vehicle's origin: metres?"
    beams = one.beam_inclination_rad
    limits = beams if len(beams) else np.array([one.beam_inclination_min_rad, one.beam_inclination_max_rad])
    if not np.isfinite(limits).all():
        yield "an inclination that is not finite"
    elif np.abs(limits).max() > math.pi / 2:
        yield f"an inclination of {limits[np.abs(limits).argmax()]:g}, beyond a quarter turn: degrees?"
    elif not (np.diff(limits) > 0).all():
        yield "inclinations do not rise from the lowest beam to the highest: another order of beams?"
