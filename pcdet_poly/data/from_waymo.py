"""Waymo files of both versions -> store."""

from __future__ import annotations

import glob
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from pcdet_poly.data.build import BuildSummary, OnError, Report, build_store
from pcdet_poly.data.codec import Precision
from pcdet_poly.data.from_waymo_v2 import find_segments_v2, is_v2, read_segment_v2, segment_v2, source_of_v2
from pcdet_poly.data.source import natural_order, source_of
from pcdet_poly.errors import UserError
from pcdet_poly.parallel import Advance
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import decode_scan, frame_of_scan
from pcdet_poly.waymo.tfrecord import read_numbered

_RECORD_OVERHEAD_BYTES = 16  # TFRecord's length and two checksums


def convert_waymo(
    inputs: Sequence[str],
    output: str | Path,
    *,
    returns: Sequence[int] = (1, 2),
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
) -> BuildSummary:
    """Convert what `inputs` name (TFRecord files, v2 Parquet files, folders, patterns) into the store `output`."""
    return build_store(
        output,
        [source_of_v2(path) if is_v2(path) else source_of(path) for path in find_records(inputs)],
        partial(read_waymo, returns=tuple(returns)),
        settings={"returns": " ".join(map(str, returns))},
        precision=precision,
        on_error=on_error,
        workers=workers,
    )


def find_records(inputs: Sequence[str]) -> list[Path]:
    """The TFRecord files and v2 segments behind names of files, folders (searched to any depth) and patterns."""
    found: set[Path] = set()
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            records = [match for match in path.rglob("*.tfrecord*") if match.is_file() and match.suffix != ".part"]
            matches = [*records, *find_segments_v2(path)]
        else:
            named = [path] if path.exists() else [Path(match) for match in glob.glob(name, recursive=True)]
            matches = [segment_v2(match) if is_v2(match) else match for match in named]
        if not matches:
            raise UserError(
                f"{name}: no TFRecord file there, nor v2 components; name .tfrecord files, their folder, or a pattern"
            )
        found.update(matches)
    by_name: dict[str, Path] = {}
    for path in sorted(found, key=natural_order):
        if by_name.setdefault(path.name, path) != path:
            raise UserError(f"{path}: the name is also that of {by_name[path.name]}; convert into two folders")
    return list(by_name.values())


def read_waymo(path: Path, advance: Advance, report: Report, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a TFRecord file or a v2 segment."""
    read = read_segment_v2 if is_v2(path) else read_tfrecord
    return read(path, advance, report, returns=returns)


def read_tfrecord(path: Path, advance: Advance, report: Report, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a file; unreadable records go to `report`. One line on stderr if LiDAR data is missing."""
    warned = False
    try:
        for number, record in read_numbered(path, on_damage=report):
            advance(len(record) + _RECORD_OVERHEAD_BYTES)
            try:
                scan = decode_scan(record, returns=returns)
                frame = frame_of_scan(scan, returns=returns)
            except UserError as error:
                report(UserError(f"{path}: record {number}: {error}"))
                continue
            yield frame
            if not warned and not scan.has_images:
                warned = True
                print(f"warning: {path}: record {number} has no LiDAR data: 0 points in its frame", file=sys.stderr)
    except UserError as error:
        report(error)  # nothing after this place can be read
