"""Converts sources into a frame store, one segment at a time, on several processes or machines.

An interrupted conversion goes on where it stopped when the same command is run again.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal, assert_never

from pcdet_poly.checks.findings import Tally, check_allowed
from pcdet_poly.data.convert.ray_jobs import run_ray_jobs
from pcdet_poly.data.convert.source_changes import check_sources, describe_changes, drop_replaced
from pcdet_poly.data.store.arrow_points import Precision, encode_points
from pcdet_poly.data.store.checked_frames import SegmentError, check_frames
from pcdet_poly.data.store.frame_store import read_checked_directory, write_segment
from pcdet_poly.data.store.manifest import MANIFEST, Manifest, SegmentEntry, read_manifest, write_manifest
from pcdet_poly.data.store.source_fingerprint import THREADS, Source
from pcdet_poly.errors import UserError
from pcdet_poly.locks import lock_folder
from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.paths import AnyPath, parse_path
from pcdet_poly.signals import explain_stop
from pcdet_poly.stage_timer import measure_stages
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance, map_in_threads, run_jobs

Executor = Literal["local", "ray"]
OnError = Literal["stop", "skip"]
ReportError = Callable[[UserError], None]
# Yields the frames of one source. Before each frame it calls `advance` with the number of the source's bytes
# that the frame took, and it calls `report_error` with what it cannot read, which raises or returns.
FrameReader = Callable[[AnyPath, Advance, ReportError], Iterator[Frame]]


@dataclass(frozen=True)
class ConversionSummary:
    """The result of one conversion."""

    manifest: Manifest
    num_kept: int  # segments that were there already
    converted: tuple[SegmentEntry, ...]
    failed: Mapping[str, str]  # sources without a readable frame -> the reason
    seconds: float
    cpu_s: Mapping[str, float]  # by stage, over all workers
    warnings: tuple[str, ...] = ()  # what may be meant: one line for each kind, with a count


@dataclass(frozen=True)
class _SourceResult:
    """The result of one source."""

    entry: SegmentEntry | str  # the segment written, or the reason why there is none
    cpu_s: Mapping[str, float]
    tally: Tally


def build_store(
    folder: str | AnyPath,
    sources: Sequence[Source],
    read: FrameReader,
    *,
    settings: Mapping[str, str],
    precision: Precision,
    on_error: OnError = "stop",
    workers: int = 1,
    executor: Executor = "local",
    ray_address: str | None = None,
    replace: bool = False,
    allowed: Collection[str] = (),
) -> ConversionSummary:
    """Convert every source that `folder` does not hold yet.

    Workers write the segments' files. This process alone writes the manifest, again after each segment:
    a file that the manifest does not name does not belong to the store.

    Args:
        folder: folder of the store, made if missing; a URL is allowed.
        sources: the files or folders to convert, each of which becomes a segment.
        read: yields the frames of a source.
        settings: what else decides how frames are read; must equal those of a store that is there.
        precision: how points are stored; must equal that of a store that is there.
        on_error: stop at what cannot be read, or skip it and name it in the manifest.
        workers: processes, or CPUs of a cluster that is started here.
        executor: local processes, or Ray.
        ray_address: of a running Ray cluster; None starts one here.
        replace: put other data of a name that the store has in place of the old, which is an error otherwise.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant; the store remembers them.

    Returns:
        What was converted, what was there already, and what failed.

    Raises:
        UserError: if another conversion writes into the folder, the settings differ, a source would take the place of
            other data, the disk is too small, or (on_error stop) something cannot be read or cannot be meant.
    """
    start = time.perf_counter()
    folder = parse_path(folder)
    check_allowed(allowed)
    settings = {**settings, "allowed": " ".join(sorted(allowed))} if allowed else settings
    converted: list[SegmentEntry] = []
    with lock_folder(folder), explain_stop(lambda: _describe_stop(folder, converted)):
        manifest = _open_manifest(folder, {"precision": precision, **settings})
        done = map_in_threads(partial(_is_done, folder, manifest), sources, threads=THREADS)
        todo = [source for source, is_done in zip(sources, done, strict=True) if not is_done]
        manifest, changes = _admit_sources(folder, manifest, sources, todo, replace)
        _check_space(folder, todo, read, precision)
        convert = partial(
            _convert_and_time, folder=folder, read=read, precision=precision, on_error=on_error, allowed=allowed
        )
        cpu_s: Counter[str] = Counter()
        tally = Tally()
        for source, result in _run_conversions(convert, todo, workers, executor, ray_address):
            cpu_s.update(result.cpu_s)
            tally.merge(result.tally)
            if isinstance(result.entry, SegmentEntry):
                manifest = manifest.with_segment(result.entry, source.place)
                converted.append(result.entry)
            else:
                manifest = manifest.with_failure(source.name, result.entry)
            write_manifest(folder, manifest)
    failed = {s.name: manifest.failed[s.name] for s in sources if s.name in manifest.failed}
    seconds = time.perf_counter() - start
    num_kept, warnings = len(sources) - len(todo), (*changes, *tally.describe())
    return ConversionSummary(manifest, num_kept, tuple(converted), failed, seconds, dict(cpu_s), warnings)


def _describe_stop(folder: AnyPath, converted: Sequence[SegmentEntry]) -> str:
    return f"{folder}: {len(converted)} more segments are whole and kept; run the same command again to go on"


def _admit_sources(
    folder: AnyPath, manifest: Manifest, sources: Sequence[Source], todo: Sequence[Source], replace: bool
) -> tuple[Manifest, list[str]]:
    """Return the manifest to add segments to, and what has changed since the last conversion."""
    if replace:
        return drop_replaced(manifest, todo), describe_changes(manifest, sources, todo)
    check_sources(folder, manifest, sources, todo)
    return manifest, describe_changes(manifest, sources, todo)


def _run_conversions(
    convert: Callable[[Source, Advance], _SourceResult],
    sources: Sequence[Source],
    workers: int,
    executor: Executor,
    ray_address: str | None,
) -> Iterator[tuple[Source, _SourceResult]]:
    if not sources:
        return iter(())  # no cluster is started for nothing
    match executor:
        case "local":
            total = sum(map(_get_num_bytes, sources))
            return run_jobs(convert, sources, workers=workers, title="converting", total=total, unit="bytes")
        case "ray":
            return run_ray_jobs(
                convert,
                sources,
                size=_get_num_bytes,
                workers=workers,
                address=ray_address,
                title="converting",
                unit="bytes",
            )
        case _:
            assert_never(executor)


def _get_num_bytes(source: Source) -> int:
    return source.num_bytes


def _convert_and_time(
    source: Source,
    advance: Advance,
    *,
    folder: AnyPath,
    read: FrameReader,
    precision: Precision,
    on_error: OnError,
    allowed: Collection[str],
) -> _SourceResult:
    """Convert one source, and measure the CPU time of each stage."""
    keep_freed_memory()
    tally = Tally()
    with measure_stages() as cpu_s:
        entry = _convert_source(source, advance, folder, read, precision, on_error, tally, allowed)
    return _SourceResult(entry, dict(cpu_s), tally)


def _convert_source(
    source: Source,
    advance: Advance,
    folder: AnyPath,
    read: FrameReader,
    precision: Precision,
    on_error: OnError,
    tally: Tally,
    allowed: Collection[str],
) -> SegmentEntry | str:
    """Write one segment's file; return its manifest entry, or the reason why there is none."""
    skipped: list[str] = []

    def report_error(error: UserError) -> None:
        if on_error == "stop":
            raise error
        skipped.append(str(error))

    read_frames = read(source.path, advance, report_error)
    frames = check_frames(read_frames, report_error, tally, where=f"{source.path}: ", allowed=allowed)
    try:
        first = next(frames, None)
        if first is None:
            if not skipped:
                report_error(UserError(f"{source.path}: no frame in it; leave it out or fetch it again"))
            return "; ".join(skipped)
        return write_segment(folder, chain([first], frames), source, precision=precision, skipped=skipped)
    except SegmentError as error:
        report_error(error)
        return str(error)


def _open_manifest(folder: AnyPath, settings: Mapping[str, str]) -> Manifest:
    if not (folder / MANIFEST).is_file():
        return Manifest(settings)
    manifest = read_manifest(folder)
    for name in sorted(settings.keys() | manifest.settings.keys()):
        before, now = (each.get(name) or "nothing" for each in (manifest.settings, settings))
        if before != now:
            raise UserError(f"{folder}: made with {name} = {before}, now {now}; use the same or another folder")
    return manifest


def _is_done(folder: AnyPath, manifest: Manifest, source: Source) -> bool:
    """Whether the store holds `source` as it is now, judged by its fingerprint and the file's checksum."""
    for entry in manifest.segments:
        if (entry.source, entry.source_bytes, entry.source_fingerprint) == (
            source.name,
            source.num_bytes,
            source.fingerprint,
        ):
            try:
                read_checked_directory(folder, entry)
            except UserError:
                return False  # the file is missing or damaged, and is written again
            return True
    return False


def _check_space(folder: AnyPath, sources: Sequence[Source], read: FrameReader, precision: Precision) -> None:
    """Raise `UserError` if the disk is too small, judged by the first frame's size before and after conversion."""
    if not sources or not isinstance(folder, Path):
        return
    read_bytes: list[int] = []
    frame = next(read(sources[0].path, read_bytes.append, lambda error: None), None)
    if frame is None or not sum(read_bytes):
        return
    try:
        ratio = len(encode_points(frame.points, frame.columns, precision)) / sum(read_bytes)
    except UserError:
        return  # what is wrong with the frame is said, with its name, when its turn comes
    needed = int(ratio * sum(source.num_bytes for source in sources))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: about {needed / 1e9:.1f} GB needed for {len(sources)} segments, {free / 1e9:.1f} GB free; "
            "free some disk space or choose another folder"
        )
