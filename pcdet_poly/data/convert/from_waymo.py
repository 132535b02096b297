"""Converts Waymo Open Dataset files of both versions into a store."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from pcdet_poly.data.convert.build_store import ConversionSummary, Executor, OnError, ReportError, build_store
from pcdet_poly.data.convert.from_waymo_v2 import describe_source_v2, get_lidar_file, read_segment_v2
from pcdet_poly.data.convert.lidar_presence import LidarPresence
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import THREADS, Source, describe_source, natural_sort_key
from pcdet_poly.errors import UserError
from pcdet_poly.foreign_files import is_foreign, print_skipped
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.paths import AnyPath, find_matches, list_files_below, parse_path
from pcdet_poly.structures import Frame
from pcdet_poly.waymo.decode import convert_scan, decode_scan
from pcdet_poly.waymo.tfrecord import read_numbered_records
from pcdet_poly.waymo.v2.component_file import is_component
from pcdet_poly.workers import Advance, map_in_threads

_TFRECORD = re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$")  # compressed ones are refused when they are read
_RECORD_OVERHEAD_BYTES = 16  # TFRecord's length and two checksums


def convert_waymo(
    inputs: Sequence[str],
    output: str | AnyPath,
    *,
    returns: Sequence[int] = (1, 2),
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
    executor: Executor = "local",
    ray_address: str | None = None,
    replace: bool = False,
    allowed: Collection[str] = (),
) -> ConversionSummary:
    """Convert Waymo files into a store.

    Args:
        inputs: names of TFRecord files, v2 Parquet files, folders, or patterns; URLs are allowed.
        output: folder of the store, made if missing; a URL is allowed.
        returns: LiDAR returns to keep: 1, 2 or both.
        precision: how points are stored, see store/arrow_points.py.
        on_error: stop at what cannot be read, or skip it and name it in the manifest.
        workers: processes, or CPUs of a Ray cluster that is started here.
        executor: local processes, or Ray; see `run_ray_jobs`.
        ray_address: of a running Ray cluster; None starts one here.
        replace: put other data of a name that the store has in place of the old.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Returns:
        What was converted, what was there already, and what failed.

    Raises:
        UserError: if there is nothing to convert, or as `build_store` says.
    """
    return build_store(
        output,
        list_waymo_sources(inputs),
        partial(read_waymo, returns=tuple(returns)),
        settings={"returns": " ".join(map(str, returns))},
        precision=precision,
        on_error=on_error,
        workers=workers,
        executor=executor,
        ray_address=ray_address,
        replace=replace,
        allowed=allowed,
    )


def list_waymo_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe the TFRecord files and v2 segments behind names of files, folders and patterns, in order."""
    return map_in_threads(_describe_waymo_source, find_waymo_sources(inputs), threads=THREADS)


def find_waymo_sources(inputs: Sequence[str]) -> list[AnyPath]:
    """Find the TFRecord files and v2 segments behind names of files, of folders and of patterns.

    Folders are searched to any depth. Other files in them, such as those that systems and editors leave, are
    skipped; one line on stderr counts them. A v2 segment is represented by the path of its lidar file.

    Raises:
        UserError: if a name leads to nothing, or two files have the same name.
    """
    found: set[AnyPath] = set()
    for name in inputs:
        path = parse_path(name)
        named = [path] if path.is_file() else _search_folder(path) if path.is_dir() else _search_pattern(path)
        if not named:
            raise UserError(
                f"{name}: no TFRecord file there, nor v2 components; name .tfrecord files, their folder, or a pattern"
            )
        found.update(get_lidar_file(file) if is_component(file) else file for file in named)
    by_name: dict[str, AnyPath] = {}
    for path in sorted(found, key=natural_sort_key):
        if by_name.setdefault(path.name, path) != path:
            raise UserError(f"{path}: the name is also that of {by_name[path.name]}; convert into two folders")
    return list(by_name.values())


def _search_folder(folder: AnyPath) -> list[AnyPath]:
    """Find the TFRecord files and v2 components below a folder."""
    files = [(file, is_foreign(file, folder)) for file in list_files_below(folder)]
    named = [file for file, foreign in files if not foreign and (is_component(file) or _TFRECORD.search(file.name))]
    skipped = {file for file, foreign in files if foreign or file.suffix != ".parquet"}.difference(named)
    if named:  # otherwise the error says it
        print_skipped(folder, list(skipped))  # components that nobody reads, such as images, are nothing to tell
    return named


def _search_pattern(pattern: AnyPath) -> list[AnyPath]:
    """Find what fits a pattern: files whatever they are called, and what folders hold."""
    found = find_matches(pattern)
    matches = list(zip(found, map_in_threads(lambda path: path.is_dir(), found, threads=THREADS), strict=True))
    skipped = [path for path, is_folder in matches if not is_folder and is_foreign(path, path.parent)]
    print_skipped(pattern, skipped)
    files = [path for path, is_folder in matches if not is_folder and path not in skipped]
    return files + [file for path, is_folder in matches if is_folder for file in _search_folder(path)]


def _describe_waymo_source(path: AnyPath) -> Source:
    return describe_source_v2(path) if is_component(path) else describe_source(path)


def read_waymo(
    path: AnyPath, advance: Advance, report_error: ReportError, *, returns: Collection[int] = (1, 2)
) -> Iterator[Frame]:
    """Yield the frames of a TFRecord file or a v2 segment.

    Args:
        path: the TFRecord file, or the lidar file of a v2 segment.
        advance: called with the number of bytes that each frame took.
        report_error: called with a `UserError` for each frame that cannot be read.
        returns: LiDAR returns to keep: 1, 2 or both.
    """
    read = read_segment_v2 if is_component(path) else read_tfrecord
    return read(path, advance, report_error, returns=returns)


def read_tfrecord(
    path: AnyPath, advance: Advance, report_error: ReportError, *, returns: Collection[int]
) -> Iterator[Frame]:
    """Yield the frames of a TFRecord file; print a line on stderr if any has no LiDAR data, or some lack a LiDAR.

    Args:
        path: the file.
        advance: called with the number of bytes of each record.
        report_error: called with a `UserError` for each record that cannot be read.
        returns: LiDAR returns to keep: 1, 2 or both.
    """
    warned, presence = False, LidarPresence()
    try:
        for number, record in read_numbered_records(path, on_damage=report_error):
            advance(len(record) + _RECORD_OVERHEAD_BYTES)
            try:
                scan = decode_scan(record, returns=returns)
                frame = convert_scan(scan, returns=returns)
            except UserError as error:
                report_error(UserError(f"{path}: record {number}: {error}"))
                continue
            yield frame
            presence.look_at(scan, f"{path}: record {number}")
            if not warned and not scan.has_images:
                warned = True
                print_line(
                    f"warning: {path}: record {number} has no LiDAR data: 0 points in its frame", file=sys.stderr
                )
    except UserError as error:
        report_error(error)  # nothing after this place can be read
    presence.print_differences()
