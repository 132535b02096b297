"""Waymo files of both versions -> store."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from pcdet_poly.data.convert.build_store import ConversionSummary, Executor, OnError, ReportError, build_store
from pcdet_poly.data.convert.from_waymo_v2 import read_segment_v2, get_lidar_file, describe_source_v2
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import Source, map_in_threads, natural_sort_key, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import Place, files_below, matches, place
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import decode_scan, convert_scan
from pcdet_poly.waymo.tfrecord import read_numbered_records
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
) -> ConversionSummary:
    """Convert what `inputs` name (TFRecord files, v2 Parquet files, folders, patterns) into the store `output`.

    Names may be URLs. `executor` ray: see `run_ray_jobs`.
    """
    return build_store(
        output,
        list(map_in_threads(_describe_waymo_source, find_waymo_sources(inputs))),
        partial(read_waymo, returns=tuple(returns)),
        settings={"returns": " ".join(map(str, returns))},
        precision=precision,
        on_error=on_error,
        workers=workers,
        executor=executor,
        ray_address=ray_address,
    )


def find_waymo_sources(inputs: Sequence[str]) -> list[Place]:
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
        found.update(get_lidar_file(file) if is_component(file) else file for file in named)
    by_name: dict[str, Place] = {}
    for path in sorted(found, key=natural_sort_key):
        if by_name.setdefault(path.name, path) != path:
            raise UserError(f"{path}: the name is also that of {by_name[path.name]}; convert into two folders")
    return list(by_name.values())


def _is_tfrecord(file: Place) -> bool:
    return ".tfrecord" in file.name and file.suffix != ".part"


def _describe_waymo_source(path: Place) -> Source:
    return describe_source_v2(path) if is_component(path) else describe_source(path)


def read_waymo(path: Place, advance: Advance, report: ReportError, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a TFRecord file or a v2 segment."""
    read = read_segment_v2 if is_component(path) else read_tfrecord
    return read(path, advance, report, returns=returns)


def read_tfrecord(path: Place, advance: Advance, report: ReportError, *, returns: Collection[int]) -> Iterator[Frame]:
    """The frames of a file; unreadable records go to `report`. One line on stderr if LiDAR data is missing."""
    warned = False
    try:
        for number, record in read_numbered_records(path, on_damage=report):
            advance(len(record) + _RECORD_OVERHEAD_BYTES)
            try:
                scan = decode_scan(record, returns=returns)
                frame = convert_scan(scan, returns=returns)
            except UserError as error:
                report(UserError(f"{path}: record {number}: {error}"))
                continue
            yield frame
            if not warned and not scan.has_images:
                warned = True
                print(f"warning: {path}: record {number} has no LiDAR data: 0 points in its frame", file=sys.stderr)
    except UserError as error:
        report(error)  # nothing after this place can be read
