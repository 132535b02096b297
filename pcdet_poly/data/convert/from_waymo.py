"""Waymo files of both versions -> store."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from pcdet_poly.data.convert.build_store import BuildSummary, Executor, OnError, Report, build_store
from pcdet_poly.data.convert.from_waymo_v2 import read_segment_v2, segment_v2, source_of_v2
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import Source, at_once, natural_order, source_of
from pcdet_poly.errors import UserError
from pcdet_poly.paths import Place, files_below, matches, place
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import decode_scan, frame_of_scan
from pcdet_poly.waymo.tfrecord import read_numbered
from pcdet_poly.waymo.v2.component_file import is_component
from pcdet_poly.workers import Advance

_RECORD_OVERHEAD_BYTES = 16  # TFRecord's length and two checksums


def convert_waymo(
    inputs: Sequence[str],
    output: str | Place,
    *,
    returns: Sequence[int] = (1, 2),
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
    executor: Executor = "local",
    ray_address: str | None = None,
) -> BuildSummary:
    """Convert what `inputs` name (TFRecord files, v2 Parquet files, folders, patterns) into the store `output`.

    Names may be URLs. `executor` ray: see `run_ray_jobs`.
    """
    return build_store(
        output,
        list(at_once(_describe_waymo_source, find_records(inputs))),
        partial(read_waymo, returns=tuple(returns)),
        settings={"returns": " ".join(map(str, returns))},
        precision=precision,
        on_error=on_error,
        workers=workers,
        executor=executor,
        ray_address=ray_address,
    )


def find_records(inputs: Sequence[str]) -> list[Place]:
    """The TFRecord files and v2 segments behind names of files, folders (searched to any depth) and patterns."""
    found: set[Place] = set()
    for name in inputs:
        path = place(name)
        if path.is_dir():
            named = [file for file in files_below(path) if _is_tfrecord(file) or is_component(file)]
        else:
            named = [path] if path.is_file() else matches(path)
        if not named:
            raise UserError(
                f"{name}: no TFRecord file there, nor v2 components; name .tfrecord files, their folder, or a pattern"
            )
        found.update(segment_v2(file) if is_component(file) else file for file in named)
    by_name: dict[str, Place] = {}
    for path in sorted(found, key=natural_order):
        if by_name.setdefault(path.name, path) != path:
            raise UserError(f"{path}: the name is also that of {by_name[path.name]}; convert into two folders")
    return list(by_name.values())


def _is_tfrecord(file: Place) -> bool:
    return ".tfrecord" in file.name and file.suffix != ".part"


def _describe_waymo_source(path: Place) -> Source:
    return source_of_v2(path) if is_component(path) else source_of(path)


def read_waymo(path: Place, advance: Advance, report: Report, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a TFRecord file or a v2 segment."""
    read = read_segment_v2 if is_component(path) else read_tfrecord
    return read(path, advance, report, returns=returns)


def read_tfrecord(path: Place, advance: Advance, report: Report, *, returns: Collection[int]) -> Iterator[Frame]:
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
