"""Tells sources that were renamed, removed, replaced or copied since a store was made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pcdet_poly.data.store.manifest import Manifest, SegmentEntry
from pcdet_poly.data.store.source_fingerprint import Source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath


def check_sources(folder: AnyPath, manifest: Manifest, sources: Sequence[Source], todo: Sequence[Source]) -> None:
    """Raise `UserError` where converting a source would silently take the place of other data, or double it.

    Args:
        folder: of the store.
        manifest: what the store holds.
        sources: what is asked for.
        todo: those of `sources` that the store does not hold as they are now.
    """
    by_name: dict[str, Source] = {}
    for source in sources:
        if by_name.setdefault(source.name, source).path != source.path:
            raise UserError(
                f"{source.path}: the name is also that of {by_name[source.name].path}, and segments are named after "
                "their sources; rename one of them, or convert into two stores"
            )
    for source in todo:
        before = manifest.sources.get(source.name)
        if before and before != source.place:
            gone = "" if _exists(before) else ", which is gone"
            raise UserError(
                f"{folder}: {source.name} was converted from {before}{gone}, and {source.place} is other data of that "
                "name; rename it, use another store, or put it in place of the old with --replace"
            )
        for entry in _find_same_data(manifest, source):
            if not _exists(manifest.sources.get(entry.source, "")):
                raise UserError(
                    f"{folder}: {source.name} holds the very data of {entry.source}, which is gone: renamed? with "
                    f"--replace it takes the place of segment {entry.segment}"
                )


def drop_replaced(manifest: Manifest, todo: Sequence[Source]) -> Manifest:
    """Return a manifest without the segments whose place the sources `todo` take: of their name, or renamed to it."""
    for source in todo:
        for entry in manifest.segments:
            moved = entry in list(_find_same_data(manifest, source)) and not _exists(
                manifest.sources.get(entry.source, "")
            )
            if moved or entry.source == source.name:
                manifest = manifest.without_source(entry.source)
    return manifest


def describe_changes(manifest: Manifest, sources: Sequence[Source], todo: Sequence[Source]) -> list[str]:
    """Say which sources have changed or are gone since they were converted, and which are copies.

    Args:
        manifest: what the store held before.
        sources: what is asked for.
        todo: those of `sources` that the store does not hold as they are now.
    """
    lines = []
    by_source = {entry.source: entry for entry in manifest.segments}
    for source in todo:
        before = by_source.get(source.name)
        if before and before.source_fingerprint != source.fingerprint:
            lines.append(f"{source.place}: changed since its {before.num_frames} frames were converted; read again")
    asked = {source.name for source in sources}
    for name, place in manifest.sources.items():
        if name in by_source and name not in asked and not _exists(place):
            entry = by_source[name]
            lines.append(f"{place}: gone; the store keeps its segment {entry.segment}, {entry.num_frames} frames")
    return lines + [f"{one.place}: holds the very files of {other.place}" for one, other in _find_copies(sources)]


def _find_copies(sources: Sequence[Source]) -> Iterator[tuple[Source, Source]]:
    first: dict[tuple[int, int], Source] = {}
    for source in sources:
        other = first.setdefault((source.num_bytes, source.fingerprint), source)
        if other is not source:
            yield source, other


def _find_same_data(manifest: Manifest, source: Source) -> Iterator[SegmentEntry]:
    """Yield the segments of other names that were made from files equal to the source's."""
    for entry in manifest.segments:
        same = (entry.source_bytes, entry.source_fingerprint) == (source.num_bytes, source.fingerprint)
        if same and entry.source != source.name and entry.source_bytes:
            yield entry


def _exists(place: str) -> bool:
    """Whether there is something at a place of this machine; what a URL names, or is not known, counts as there."""
    return "://" in place or not place or Path(place).exists()
