"""Waymo v1 files -> store."""

from __future__ import annotations

import glob
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from pcdet_poly.data.build import BuildSummary, OnError, Report, build_store
from pcdet_poly.data.codec import Precision
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
    """Convert the TFRecord files that `inputs` name (files, folders, patterns) into the store `output`."""
    return build_store(
        output,
        [source_of(path) for path in find_records(inputs)],
        partial(read_tfrecord, returns=tuple(returns)),
        settings={"returns": " ".join(map(str, returns))},
        precision=precision,
        on_error=on_error,
        workers=workers,
    )


def find_records(inputs: Sequence[str]) -> list[Path]:
    """The files behind names of files, folders (searched to any depth) and patterns, in natural order."""
    found: set[Path] = set()
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            matches = [match for match in path.rglob("*.tfrecord*") if match.is_file() and match.suffix != ".part"]
        else:
            matches = [path] if path.exists() else [Path(match) for match in glob.glob(name, recursive=True)]
        if not matches:
            raise UserError(f"{name}: no TFRecord file there; name .tfrecord files, their folder, or a pattern")
        found.update(matches)
    by_name: dict[str, Path] = {}
    for path in sorted(found, key=natural_order):
        if by_name.setdefault(path.name, path) != path:
            raise UserError(f"{path}: the name is also that of {by_name[path.name]}; convert into two folders")
    return list(by_name.values())


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
