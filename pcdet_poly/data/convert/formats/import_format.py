"""Data sets by name -> a store, in one call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pcdet_poly.data.convert.build_store import ConversionSummary, OnError, ReportError, build_store
from pcdet_poly.data.convert.formats import argoverse2, kitti, nuscenes, openpcdet
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import Source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance


class _Reader(Protocol):
    def __call__(
        self, path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions
    ) -> Iterator[Frame]: ...


@dataclass(frozen=True)
class ImportFormat:
    """How one data set is found and read."""

    list_sources: Callable[[Sequence[str]], list[Source]]
    read: _Reader
    renamed: Mapping[str, str]  # its names -> Waymo's, for what the user does not say
    dropped: Iterable[str]


IMPORT_FORMATS = {
    "kitti": ImportFormat(kitti.list_kitti_sources, kitti.read_kitti, kitti.DEFAULT_NAMES, kitti.DROPPED_NAMES),
    "nuscenes": ImportFormat(
        nuscenes.list_nuscenes_sources, nuscenes.read_nuscenes, nuscenes.DEFAULT_NAMES, nuscenes.DROPPED_NAMES
    ),
    "argoverse2": ImportFormat(
        argoverse2.list_argoverse_sources,
        argoverse2.read_argoverse,
        argoverse2.DEFAULT_NAMES,
        argoverse2.DROPPED_NAMES,
    ),
    "openpcdet": ImportFormat(
        openpcdet.list_openpcdet_sources, openpcdet.read_openpcdet, openpcdet.DEFAULT_NAMES, openpcdet.DROPPED_NAMES
    ),
}


def import_format(
    name: str,
    inputs: Sequence[str],
    output: str | AnyPath,
    *,
    options: ImportOptions | None = None,
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
    replace_sources: bool = False,
    allowed: Collection[str] = (),
) -> ConversionSummary:
    """Import data of a known format into a store.

    Args:
        name: kitti, nuscenes, argoverse2 or openpcdet.
        inputs: its folders.
        output: folder of the store, made if missing.
        options: names of classes. What they do not say is as the format's own table has it.
        precision: how points are stored, see store/arrow_points.py.
        on_error: stop at what cannot be read, or leave it out and name it.
        workers: processes that share the segments.
        replace_sources: put other data of a name that the store has in place of the old.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Returns:
        What was converted, what was there already, and what failed.

    Raises:
        UserError: where there is no such format or no data of it, or as `build_store` says.
    """
    if name not in IMPORT_FORMATS:
        raise UserError(f"--format {name}: no such format; there are {', '.join(IMPORT_FORMATS)}")
    known, options = IMPORT_FORMATS[name], options or ImportOptions()
    options = replace(options, names=options.names.with_defaults(known.renamed, known.dropped))
    return build_store(
        output,
        known.list_sources(inputs),
        partial(known.read, options=options),
        settings={"format": name, **options.describe()},
        precision=precision,
        on_error=on_error,
        workers=workers,
        replace=replace_sources,
        allowed=allowed,
    )
