"""What is in a frame store: `manifest.json`, from which a store of any size opens at once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.paths import Place, place
from pcdet_poly.structures import WAYMO_CLASSES

FORMAT = "pcdet_poly frames"
VERSION = 2  # 1 kept points as Parquet
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class SegmentEntry:
    """One segment's file, in the order of its frames."""

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
        """Frames in this segment."""
        return len(self.timestamps_us)


@dataclass(frozen=True)
class Manifest:
    """All segments of a store, by name."""

    settings: Mapping[str, str]  # how it was made: one store, one way
    segments: tuple[SegmentEntry, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)  # sources that gave no frame, with the reason

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the frames' labels point into."""
        return tuple(self.segments[0].num_objects) if self.segments else WAYMO_CLASSES

    def with_segment(self, entry: SegmentEntry) -> Manifest:
        """With `entry` in place of what its source gave before. Two sources of one segment are refused."""
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
        return replace(self, segments=tuple(sorted([*others, entry], key=lambda e: e.segment)), failed=failed)

    def with_failure(self, source: str, reason: str) -> Manifest:
        """With a note that `source` gave nothing."""
        return replace(self, failed=dict(sorted({**self.failed, source: reason}.items())))


def write_manifest(folder: Place, manifest: Manifest) -> None:
    """Write it whole or not at all: one line per segment, and a checksum of all the rest."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "settings": dict(manifest.settings),
        "class_names": manifest.class_names,
        "failed": dict(manifest.failed),
    }
    segments = [asdict(entry) for entry in manifest.segments]
    checksum = _compute_checksum({**head, "segments": segments})
    lines = [f"{json.dumps(name)}: {json.dumps(item)}," for name, item in {**head, "crc32": checksum}.items()]
    rows = ",\n".join(json.dumps(entry) for entry in segments)
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text("\n".join(["{", *lines, '"segments": [', rows, "]}", ""]))


def read_manifest(folder: str | Place) -> Manifest:
    """The manifest of the store in `folder`; every way it can be unusable is one `UserError`."""
    folder = place(folder)
    path = folder / MANIFEST
    if isinstance(folder, Path) and not folder.is_dir():
        raise UserError(f"{folder}: no such folder; make a frame store with data_tools/ first")
    if not path.is_file():
        raise UserError(f"{folder}: no {MANIFEST}, so not a frame store; make one with data_tools/preprocess_waymo.py")
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
    return _parse_manifest(value)


def _parse_manifest(value: dict[str, Any]) -> Manifest:
    segments = (
        SegmentEntry(**{**e, "timestamps_us": tuple(e["timestamps_us"]), "skipped": tuple(e["skipped"])})
        for e in value["segments"]
    )
    return Manifest(value["settings"], tuple(segments), value["failed"])


def _compute_checksum(value: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
