"""Reads the frames of a Waymo v1 file."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import convert_scan, decode_scan
from pcdet_poly.waymo.tfrecord import read_records


def read_frames(path: str | AnyPath, *, returns: Collection[int] = (1, 2)) -> Iterator[Frame]:
    """Yield the frames of a Waymo v1 file, one in memory at a time, with the points of the given LiDAR returns.

    A record without LiDAR data (as in copies made for cameras) becomes a frame with 0 points; one
    warning per file says so.

    Raises:
        UserError: at a record that cannot be read, with the path, the record's number (from 0) and the reason.
    """
    warned = False
    for number, record in enumerate(read_records(path)):
        try:
            scan = decode_scan(record, returns=returns)
        except UserError as error:
            raise UserError(f"{path}: record {number}: {error}") from error
        if not warned and not scan.has_images:
            warned = True
            warnings.warn(f"{path}: record {number} has no LiDAR data: its frame has labels but 0 points", stacklevel=2)
        yield convert_scan(scan, returns=returns)
