"""Which LiDARs and returns the frames of a segment have: one line where some lack what the first one has."""

from __future__ import annotations

import sys

from pcdet_poly.names.shown_names import print_line
from pcdet_poly.waymo.scan import Scan, get_lidar_name


class LidarPresence:
    """Compares the scans of one segment; those without any image are told of elsewhere."""

    def __init__(self) -> None:
        self._expected: dict[int, int] = {}
        self._first = ""
        self._num_other = 0
        self._num_scans = 0

    def look_at(self, scan: Scan, place: str) -> None:
        """Take in one scan; `place` names it."""
        if not scan.has_images:
            return
        self._num_scans += 1
        found = {lidar.calibration.lidar: len(lidar.returns) for lidar in scan.lidars}
        self._expected = self._expected or found
        if found != self._expected:
            self._num_other += 1
            self._first = self._first or f"{place}: {_describe_difference(found, self._expected)}"

    def print_differences(self) -> None:
        """Print one line if there were any."""
        if self._num_other:
            print_line(
                f"warning: {self._first}; {self._num_other} of {self._num_scans} frames have other images than the "
                "first: their points are more or fewer",
                file=sys.stderr,
            )


def _describe_difference(found: dict[int, int], expected: dict[int, int]) -> str:
    lidar = next(one for one in sorted(found | expected) if found.get(one, 0) != expected.get(one, 0))
    return f"LiDAR {get_lidar_name(lidar)} has {found.get(lidar, 0)} returns, and {expected.get(lidar, 0)} in the first"
