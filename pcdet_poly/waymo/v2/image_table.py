"""Reads the range images of a v2 component frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.waymo.scan import get_lidar_name
from pcdet_poly.waymo.v2.component_file import ComponentFile, RowReader, get_required_column
from pcdet_poly.waymo.v2.schema import LASER, SEGMENT, TIMESTAMP


class ImageTable:
    """The images of a component by frame and LiDAR; with `only`, those of one LiDAR."""

    def __init__(
        self, folder: str | AnyPath, component: str, segment: str, images: Sequence[str], *, only: int | None = None
    ) -> None:
        keys = [SEGMENT, TIMESTAMP, LASER]
        columns = [f"{image}.{part}" for image in images for part in ("values", "shape")]
        source = ComponentFile.open(folder, component, segment, [*keys, *columns])
        self.path = source.path
        self._images = images
        self._rows = RowReader(source, columns)
        self._positions = _index_rows(source.read_table(keys), source.path, only)

    @property
    def timestamps_us(self) -> set[int]:
        """Timestamps of the frames that have an image."""
        return set(self._positions)

    def read(self, timestamp_us: int) -> dict[int, list[np.ndarray | None]]:
        """Read the images (H, W, C) float32 of a frame by LiDAR; None for an empty one, {} for an unknown frame."""
        found = {}
        for lidar, position in self._positions.get(timestamp_us, {}).items():
            row = self._rows.read_row(position)
            where = f"{self.path}: frame {timestamp_us}: LiDAR {get_lidar_name(lidar)}"
            found[lidar] = [_decode_image(row, name, where) for name in self._images]
        return found


def _index_rows(keys: pa.Table, path: AnyPath, only: int | None) -> dict[int, dict[int, int]]:
    """Find the position of each row by timestamp and LiDAR."""
    positions: dict[int, dict[int, int]] = {}
    timestamps, lidars = (get_required_column(keys, name, path).tolist() for name in (TIMESTAMP, LASER))
    for position, (timestamp_us, lidar) in enumerate(zip(timestamps, lidars, strict=True)):
        if only in (None, lidar):
            known = positions.setdefault(timestamp_us, {})
            if known.setdefault(lidar, position) != position:
                raise UserError(f"{path}: frame {timestamp_us} has LiDAR {get_lidar_name(lidar)} twice; fetch it again")
    return positions


def _decode_image(row: pa.RecordBatch, name: str, where: str) -> np.ndarray | None:
    """View the row's numbers in their shape; None if they are empty."""
    values, shape = row.column(f"{name}.values"), row.column(f"{name}.shape")
    if values.null_count or shape.null_count:
        return None
    numbers, sizes = values.flatten(), shape.flatten().to_pylist()
    if numbers.null_count or None in sizes or min(sizes, default=-1) < 0 or len(numbers) != math.prod(sizes):
        raise UserError(f"{where}: {len(numbers)} values of shape {sizes} in {name}.values")
    return numbers.to_numpy(zero_copy_only=True).reshape(sizes)
