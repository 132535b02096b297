"""Opens a component's Parquet file, and reads columns of it, whole or row by row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pcdet_poly.errors import UserError
from pcdet_poly.limits import explain_limit, find_limit
from pcdet_poly.limits.parquet_sizes import count_unpacked_bytes
from pcdet_poly.paths import AnyPath, RemotePath, parse_path
from pcdet_poly.stage_timer import time_stage
from pcdet_poly.waymo.v2.schema import SCHEMAS, SEGMENT

# Streams a row group: with pre_buffer or without a buffer pyarrow loads all of it, and Waymo's hold 51 frames.
_STREAMING = {"pre_buffer": False, "buffer_size": 1 << 20}
_UNLABELLED = "testing"  # splits whose names begin with this have no lidar_box
_WITH_IMAGES = ("lidar", "lidar_pose")  # components that are read row by row, the others whole
MAX_BYTES = find_limit("PARQUET_ROW")
_MAX_CURSORS = 5  # a file sorted by LiDAR, then by time, is read in five places at once


def component_path(folder: str | AnyPath, component: str, segment: str) -> AnyPath:
    """Path of a segment's file of a component, whether or not it exists.

    Args:
        folder: holds a folder per component; a URL is allowed.
        component: name of the component, such as lidar_box.
        segment: name of the segment.
    """
    return parse_path(folder) / component / f"{segment}.parquet"


def is_component(path: AnyPath) -> bool:
    """Whether a file's name and folder are those of a component that we read."""
    return path.suffix == ".parquet" and not path.name.startswith(".") and path.parent.name in SCHEMAS


def may_lack_labels(folder: str | AnyPath) -> bool:
    """Whether the v2 folder is named after a split whose labels Waymo does not publish."""
    folder = parse_path(folder)
    return (folder.resolve() if isinstance(folder, Path) else folder).name.startswith(_UNLABELLED)


@dataclass(frozen=True)
class ComponentFile:
    """One opened file that has the wanted columns."""

    path: AnyPath
    file: pq.ParquetFile

    @classmethod
    def open(cls, folder: str | AnyPath, component: str, segment: str, columns: Sequence[str]) -> ComponentFile:
        """Open a component's file.

        Args:
            folder: holds a folder per component; a URL is allowed.
            component: name of the component, such as lidar_box.
            segment: name of the segment.
            columns: names of the columns that it must have, in the official types.

        Raises:
            UserError: if the file is missing, no Parquet, or lacks a column.
        """
        path = component_path(folder, component, segment)
        if not path.is_file():
            hint = f" (only a folder named {_UNLABELLED} may lack it)" if component == "lidar_box" else ""
            raise UserError(
                f"{path}: no such file; download (or write again) component {component} of this segment{hint}"
            )
        with translate_errors(path):
            opened = path.open("rb") if isinstance(path, RemotePath) else path
            file = pq.ParquetFile(opened, page_checksum_verification=True, **_STREAMING)
            found, metadata = file.schema_arrow, file.metadata
            unpacked = _count_unpacked_bytes(opened, path)
        _check_size(metadata, unpacked, component, path)
        for name in columns:
            needed, index = SCHEMAS[component].field(name).type, found.get_field_index(name)
            kind = "missing" if index < 0 else f"of type {found.field(index).type}"
            if index < 0 or found.field(index).type != needed:
                raise UserError(f"{path}: column {name} is {kind}, {needed} needed; is it a Waymo v2 {component} file?")
        return cls(path, file)

    def read_table(self, columns: Sequence[str]) -> pa.Table:
        """Read all rows of some columns; if the segment is among them, raise `UserError` if a row is of another."""
        with translate_errors(self.path):
            table = self.file.read(columns=list(columns), use_threads=False)
            table.validate(full=True)  # text that is not UTF-8, too
        announced = self.file.metadata.num_rows
        if len(table) != announced:
            raise UserError(f"{self.path}: {len(table)} rows in it, {announced} announced: damaged; fetch it again")
        if SEGMENT in columns:
            others = set(pc.unique(table[SEGMENT]).to_pylist()) - {self.path.stem}
            if others:
                raise UserError(f"{self.path}: holds rows of segment {min(map(str, others))}; rename or fetch it again")
        return table


def _count_unpacked_bytes(file: Path | IO[bytes], path: AnyPath) -> Sequence[int]:
    """Count what each row group unpacks to; of a file behind a URL what its footer says, without its pages."""
    try:
        if not isinstance(file, Path):
            return count_unpacked_bytes(file, look_at_pages=False)
        with file.open("rb") as opened:
            return count_unpacked_bytes(opened)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); fetch it again") from error


def _check_size(metadata: pq.FileMetaData, unpacked: Sequence[int], component: str, path: AnyPath) -> None:
    """Raise `UserError` if a file announces other numbers of rows in two places, or more bytes than can be read.

    Args:
        metadata: of the file.
        unpacked: bytes of each row group.
        component: name of the component.
        path: of the file, for errors.
    """
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    num_rows = [group.num_rows for group in groups]
    if min(num_rows, default=0) < 0 or sum(num_rows) != metadata.num_rows:
        raise UserError(f"{path}: {metadata.num_rows} rows in groups of {sum(num_rows)}: damaged; fetch it again")
    num_bytes = [max(group.total_byte_size, size) for group, size in zip(groups, unpacked, strict=True)]
    if component not in _WITH_IMAGES:
        num_bytes, num_rows = [sum(num_bytes)], [0]
    for size, rows in zip(num_bytes, num_rows, strict=True):
        limit = (rows + 1) * MAX_BYTES  # a file without rows has bytes, too
        if size > limit:
            raise UserError(
                f"{path}: takes {size} bytes, at most {limit} can be read: not from Waymo; of a row, "
                f"{explain_limit('PARQUET_ROW', MAX_BYTES)}"
            )


def get_required_column(table: pa.Table, name: str, path: AnyPath) -> np.ndarray:
    """Get a column of numbers without empty rows.

    Args:
        table: of a component.
        name: of the column.
        path: of the file, for errors.

    Returns:
        (N,) as stored.

    Raises:
        UserError: if a row is empty.
    """
    column = table[name]
    if column.null_count:
        raise UserError(f"{path}: column {name} is empty in {column.null_count} of {len(column)} rows; fetch it again")
    return column.to_numpy()


@contextmanager
def translate_errors(path: AnyPath) -> Iterator[None]:
    """Turn pyarrow's errors about a damaged file into a `UserError`; errors of the disk stay as they are."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file's contents
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: damaged or no Parquet file ({reason}); fetch it again") from error


class RowReader:
    """Reads the rows of a file in any order, with one in memory at a time.

    Reading onwards is fast. Going back reads the row's group from its beginning again, which costs time, not memory.
    """

    def __init__(self, source: ComponentFile, columns: Sequence[str]) -> None:
        self._source, self._columns = source, list(columns)
        metadata = source.file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = [0, *np.cumsum(sizes).tolist()]
        self._cursors: dict[int, _Cursor] = {}  # by row group, ordered by last use

    def read_row(self, position: int) -> pa.RecordBatch:
        """Read one row, counted from the file's beginning; raise `UserError` if the file ends before it."""
        group = bisect_right(self._starts, position) - 1
        cursor = self._cursors.pop(group, None)
        with translate_errors(self._source.path), time_stage("decompress"):
            if cursor is None or cursor.position > position:
                cursor = _Cursor(self._starts[group], self._iterate_group(group))
            while cursor.position <= position:
                row = next(cursor.rows, None)  # a StopIteration would end the caller's loop over frames
                if row is None or row.num_rows != 1:
                    raise UserError(
                        f"{self._source.path}: row {cursor.position} is announced and not there: damaged; "
                        "fetch it again"
                    )
                cursor.position += 1
        if cursor.position < self._starts[group + 1]:
            self._cursors[group] = cursor
            if len(self._cursors) > _MAX_CURSORS:
                del self._cursors[next(iter(self._cursors))]
        return row

    def _iterate_group(self, group: int) -> Iterator[pa.RecordBatch]:
        return iter(
            self._source.file.iter_batches(batch_size=1, row_groups=[group], columns=self._columns, use_threads=False)
        )


@dataclass
class _Cursor:
    """A position in a row group that is being read."""

    position: int  # of the row that comes next
    rows: Iterator[pa.RecordBatch]
