"""`manifest.json`: the list of what a frame store holds, which is all that opening a store reads."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pcdet_poly.errors import UserError, suggest_path
from pcdet_poly.files import atomic_path
from pcdet_poly.paths import AnyPath, parse_path
from pcdet_poly.structures import WAYMO_CLASSES

FORMAT = "pcdet_poly frames"
VERSION = 2  # 1 kept points as Parquet
MANIFEST = "manifest.json"
_MAKE_ONE = "; make a frame store with pcdet-poly preprocess first"


@dataclass(frozen=True)
class SegmentEntry:
    """What the manifest says of one segment and its file."""

    segment: str
    file: str  # in the store's folder
    file_bytes: int
    directory_crc32: int  # of the archive's directory, which holds every entry's checksum
    source: str  # name of the file or folder it was made from
    source_bytes: int
    source_fingerprint: int
    num_points: int
    num_objects: Mapping[str, int]  # by class, in the order of Frame.class_names
    timestamps_us: tuple[int, ...]
    skipped: tuple[str, ...] = ()  # unreadable records that were left out, with the reason

    @property
    def num_frames(self) -> int:
        """Number of frames in this segment."""
        return len(self.timestamps_us)


@dataclass(frozen=True)
class Manifest:
    """All segments of a store, sorted by name."""

    settings: Mapping[str, str]  # how it was made: one store, one way
    segments: tuple[SegmentEntry, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)  # sources that gave no frame, with the reason
    sources: Mapping[str, str] = field(default_factory=dict)  # source -> where it lay when it was converted

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes; labels are positions in this tuple."""
        return tuple(self.segments[0].num_objects) if self.segments else WAYMO_CLASSES

    def with_segment(self, entry: SegmentEntry, place: str = "") -> Manifest:
        """Return a manifest with `entry` in place of what the same source gave before.

        Args:
            entry: the segment.
            place: where its source lies, if that is known.

        Raises:
            UserError: if another source has a segment of this name, or the classes differ from the store's.
        """
        for other in self.segments:
            if other.segment == entry.segment and other.source != entry.source:
                raise UserError(
                    f"segment {entry.segment} is in {other.source} and in {entry.source}; convert only one of them"
                )
        if self.segments and tuple(entry.num_objects) != self.class_names:
            raise UserError(
                f"segment {entry.segment} has classes {', '.join(entry.num_objects)}, the store "
                f"{', '.join(self.class_names)}; put it into another folder"
            )
        others = [other for other in self.segments if other.source != entry.source]
        failed = {source: reason for source, reason in self.failed.items() if source != entry.source}
        segments = tuple(sorted([*others, entry], key=lambda e: e.segment))
        sources = dict(sorted({**self.sources, **({entry.source: place} if place else {})}.items()))
        return replace(self, segments=segments, failed=failed, sources=sources)

    def without_source(self, source: str) -> Manifest:
        """Return a manifest without what `source` gave."""
        kept = tuple(entry for entry in self.segments if entry.source != source)
        return replace(self, segments=kept, sources={name: at for name, at in self.sources.items() if name != source})

    def with_failure(self, source: str, reason: str) -> Manifest:
        """Return a manifest that notes why `source` gave no frame."""
        return replace(self, failed=dict(sorted({**self.failed, source: reason}.items())))


def write_manifest(folder: AnyPath, manifest: Manifest) -> None:
    """Write `manifest.json` whole or not at all: one line per segment, and a checksum of all the rest."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "settings": dict(manifest.settings),
        "class_names": manifest.class_names,
        "failed": dict(manifest.failed),
        **({"sources": dict(manifest.sources)} if manifest.sources else {}),
    }
    segments = [asdict(entry) for entry in manifest.segments]
    checksum = _compute_checksum({**head, "segments": segments})
    lines = [f"{json.dumps(name)}: {json.dumps(item)}," for name, item in {**head, "crc32": checksum}.items()]
    rows = ",\n".join(json.dumps(entry) for entry in segments)
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text("\n".join(["{", *lines, '"segments": [', rows, "]}", ""]), "utf-8", newline="\n")


def read_manifest(folder: str | AnyPath) -> Manifest:
    """Read the manifest of the store in `folder`.

    Raises:
        UserError: if there is none, or it is damaged, of another kind or of another version.
    """
    folder = parse_path(folder)
    path = folder / MANIFEST
    if isinstance(folder, Path) and not folder.is_dir():
        raise UserError(f"{folder}: no such folder{suggest_path(folder) or _MAKE_ONE}")
    if not path.is_file():
        raise UserError(f"{folder}: no {MANIFEST}, so not a frame store; make one with pcdet-poly preprocess")
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); delete it and run the conversion again") from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise UserError(f"{path}: not the manifest of a frame store; name the folder of a store")
    if value.get("version") != VERSION:
        raise UserError(
            f"{path}: format version {value.get('version')}, this program reads {VERSION}; "
            "convert the data again into another folder"
        )
    if value.pop("crc32", None) != _compute_checksum(value):
        raise UserError(f"{path}: wrong checksum, changed or damaged; delete it and run the conversion again")
    return _parse_manifest(**value)


def _parse_manifest(
    *,
    settings: dict[str, str],
    segments: list[dict[str, Any]],
    failed: dict[str, str],
    sources: dict[str, str] | None = None,
    **_others: Any,
) -> Manifest:
    return Manifest(settings, tuple(_parse_entry(**entry) for entry in segments), failed, sources or {})


def _parse_entry(*, timestamps_us: list[int], skipped: list[str], **others: Any) -> SegmentEntry:
    return SegmentEntry(timestamps_us=tuple(timestamps_us), skipped=tuple(skipped), **others)


def _compute_checksum(value: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
