"""Frames of any reader, ours or a user's own -> store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial

from pcdet_poly.config.kind_tables import READERS
from pcdet_poly.config.plugins import admit_plugin, load_function
from pcdet_poly.data.convert.build_store import ConversionSummary, FrameReader, OnError, ReportError, build_store
from pcdet_poly.data.store.arrow_points import Precision
from pcdet_poly.data.store.source_fingerprint import Source, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath, list_files_below, parse_path
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance


def convert_with_reader(
    inputs: Sequence[str],
    output: str | AnyPath,
    reader: str,
    *,
    precision: Precision = "compact",
    on_error: OnError = "stop",
    workers: int = 1,
    replace: bool = False,
    allowed: Collection[str] = (),
) -> ConversionSummary:
    """Convert what `inputs` name into the store `output`.

    Args:
        inputs: files or folders; what is one segment is up to the reader, by default each of them.
        output: folder of the store.
        reader: "npz", "waymo", an entry point, or "my_package.my_module:MyReader"; naming a module imports it.
        precision: of the points that the store keeps.
        on_error: whether a frame that the reader reports as unreadable stops the conversion or is left out.
        workers: processes that share the segments.
        replace: put other data of a name that the store has in place of the old.
        allowed: kinds of errors, of `ALLOWABLE` in checks/findings.py, that are meant.

    Raises:
        UserError: where there is no such reader or input, or the reader gives something else than Frames.
    """
    if ":" in reader:
        admit_plugin(reader.partition(":")[0])
    try:
        kind = READERS.find(reader)
        read = load_function(kind.read, parse_path("."), int, list)
        list_sources = kind.list_sources and load_function(kind.list_sources, inputs)
    except UserError as error:
        raise UserError(f"--reader {reader}: {error}") from None
    sources = list_sources(inputs) if list_sources else [_describe_input(name) for name in inputs]
    checked = partial(_read_checked, read=read, name=reader)
    settings = {"reader": reader}
    return build_store(
        output,
        sources,
        checked,
        settings=settings,
        precision=precision,
        on_error=on_error,
        workers=workers,
        replace=replace,
        allowed=allowed,
    )


def _describe_input(name: str) -> Source:
    path = parse_path(name)
    if path.is_dir():
        return describe_source(path, sorted(list_files_below(path), key=str))
    if not path.is_file():
        raise UserError(f"{name}: no such file or folder; name what the reader reads")
    return describe_source(path)


def _read_checked(
    path: AnyPath, advance: Advance, report: ReportError, *, read: FrameReader, name: str
) -> Iterator[Frame]:
    """Pass the frames of a reader on, unless they are none."""
    for frame in read(path, advance, report):
        if not isinstance(frame, Frame):
            raise UserError(f"--reader {name}: gave a {type(frame).__name__}, where a pcdet_poly Frame is needed")
        yield frame
