"""Sources -> a store: segment by segment, by several processes, interrupted and taken up again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

from pcdet_poly.data.codec import Precision, encode_points
from pcdet_poly.data.manifest import MANIFEST, Manifest, SegmentEntry, read_manifest, write_manifest
from pcdet_poly.data.source import Source
from pcdet_poly.data.store import checked_directory, write_segment
from pcdet_poly.errors import UserError
from pcdet_poly.parallel import Advance, run_jobs
from pcdet_poly.structures import Frame

OnError = Literal["stop", "skip"]
Report = Callable[[UserError], None]
# The frames of one source. Calls `advance` with the source's bytes behind each frame before it
# gives the frame out, and `report` with what it cannot read; `report` raises or returns.
FrameReader = Callable[[Path, Advance, Report], Iterator[Frame]]


@dataclass(frozen=True)
class BuildSummary:
    """What one conversion did."""

    manifest: Manifest
    num_kept: int  # segments that were there already
    converted: tuple[SegmentEntry, ...]
    failed: Mapping[str, str]  # sources of this conversion that gave no frame, with the reason
    seconds: float


def build_store(
    folder: str | Path,
    sources: Sequence[Source],
    read: FrameReader,
    *,
    settings: Mapping[str, str],
    precision: Precision,
    on_error: OnError = "stop",
    workers: int = 1,
) -> BuildSummary:
    """Convert every source that `folder` does not hold yet; the manifest grows with each segment.

    `settings` and `precision` must be those of what is in the folder. With `on_error` skip,
    unreadable records are left out and unreadable sources passed over, and the manifest names them.
    """
    start = time.perf_counter()
    folder = Path(folder)
    with _exclusive(folder):
        manifest = _open_manifest(folder, {"precision": precision, **settings})
        todo = [source for source in sources if not _is_done(folder, manifest, source)]
        _check_space(folder, todo, read, precision)
        convert = partial(_convert, folder=folder, read=read, precision=precision, on_error=on_error)
        converted = []
        total = sum(source.num_bytes for source in todo)
        for source, result in run_jobs(convert, todo, workers=workers, title="converting", total=total, unit="bytes"):
            if isinstance(result, SegmentEntry):
                manifest = manifest.with_segment(result)
                converted.append(result)
            else:
                manifest = manifest.with_failure(source.name, result)
            write_manifest(folder, manifest)
    failed = {s.name: manifest.failed[s.name] for s in sources if s.name in manifest.failed}
    return BuildSummary(manifest, len(sources) - len(todo), tuple(converted), failed, time.perf_counter() - start)


def _convert(
    source: Source, advance: Advance, *, folder: Path, read: FrameReader, precision: Precision, on_error: OnError
) -> SegmentEntry | str:
    """Write one segment's file; its manifest entry, or why there is none."""
    skipped: list[str] = []

    def report(error: UserError) -> None:
        if on_error == "stop":
            raise error
        skipped.append(str(error))

    frames = read(source.path, advance, report)
    first = next(frames, None)
    if first is None:
        report(UserError(f"{source.path}: no frame in it; leave it out or fetch it again"))
        return "; ".join(skipped)
    return write_segment(folder, chain([first], frames), source, precision=precision, skipped=skipped)


def _open_manifest(folder: Path, settings: Mapping[str, str]) -> Manifest:
    if not (folder / MANIFEST).exists():
        return Manifest(settings)
    manifest = read_manifest(folder)
    for name in settings.keys() | manifest.settings.keys():
        if settings.get(name) != manifest.settings.get(name):
            raise UserError(
                f"{folder}: made with {name} = {manifest.settings.get(name)}, now {settings.get(name)}; "
                "use the same or another folder"
            )
    return manifest


def _is_done(folder: Path, manifest: Manifest, source: Source) -> bool:
    """Whether the store holds `source` as it is now, by its fingerprint and the file's checksum."""
    for entry in manifest.segments:
        if (entry.source, entry.source_bytes, entry.source_fingerprint) == (
            source.name,
            source.num_bytes,
            source.fingerprint,
        ):
            try:
                checked_directory(folder, entry)
            except UserError:
                return False  # missing or damaged: it is made again
            return True
    return False


def _check_space(folder: Path, sources: Sequence[Source], read: FrameReader, precision: Precision) -> None:
    """Refuse to start what the disk cannot hold, judged by the first frame's size before and after."""
    if not sources:
        return
    read_bytes: list[int] = []
    frame = next(read(sources[0].path, read_bytes.append, lambda error: None), None)
    if frame is None or not sum(read_bytes):
        return
    ratio = len(encode_points(frame.points, frame.columns, precision)) / sum(read_bytes)
    needed = int(ratio * sum(source.num_bytes for source in sources))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: about {needed / 1e9:.1f} GB needed for {len(sources)} segments, {free / 1e9:.1f} GB free; "
            "free some disk space or choose another folder"
        )


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for one conversion; a killed one holds nothing. Its half-written files go."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another conversion is writing here; wait for it or choose another") from error
        for part in folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        yield
