"""OpenPCDet's form of a user's own data -> frames: points/NAME.npy and labels/NAME.txt.

A line of labels is x y z length width height heading class, the centre of the box in the cloud's frame (x forward,
y left, z up), which is ours. Frames are in natural order of names, 100 ms apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.formats.cloud_files import read_openpcdet_cloud
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.formats.labelled_frame import FileBoxes, make_labelled_frame
from pcdet_poly.data.store.source_fingerprint import Source, describe_source, natural_sort_key
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance

DEFAULT_NAMES = {"Vehicle": "VEHICLE", "Car": "VEHICLE", "Pedestrian": "PEDESTRIAN", "Cyclist": "CYCLIST"}
DROPPED_NAMES = ()
_INTERVAL_US = 100_000
_NUM_FIELDS = 8


def list_openpcdet_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe the folders `inputs`, each of which has points/ in it and is one segment."""
    sources = []
    for folder in map(Path, inputs):
        clouds = _list_clouds(folder)
        if not clouds:
            raise UserError(f"{folder}: no points/*.npy in it; name the folder with points/ and labels/")
        labels = [file for file in map(_find_labels, clouds) if file.is_file()]
        sources.append(describe_source(folder.resolve(), [*clouds, *labels]))
    return sources


def read_openpcdet(
    path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions
) -> Iterator[Frame]:
    """Yield the frames of a folder.

    Args:
        path: the folder.
        advance: called with the number of bytes of each cloud.
        report_error: called with a `UserError` for each frame that cannot be read.
        options: names of classes; times are no part of the format.
    """
    for number, cloud in enumerate(_list_clouds(Path(str(path)))):
        advance(cloud.stat().st_size)
        labels = _find_labels(cloud)
        try:
            frame = make_labelled_frame(
                read_openpcdet_cloud(cloud),
                _read_labels(labels) if labels.parent.is_dir() else FileBoxes.empty(),
                options.names,
                where=str(labels),
                segment=path.name,
                timestamp_us=number * _INTERVAL_US,
                pose=np.eye(4),
            )
        except UserError as error:
            report_error(error)
            continue
        yield frame


def _list_clouds(folder: Path) -> list[Path]:
    return sorted((folder / "points").glob("*.npy"), key=natural_sort_key)


def _find_labels(cloud: Path) -> Path:
    return cloud.parent.parent / "labels" / f"{cloud.stem}.txt"


def _read_labels(path: Path) -> FileBoxes:
    if not path.is_file():
        raise UserError(f"{path}: no such file; each cloud in points/ needs its own, empty where nothing is labelled")
    rows = [line.split() for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
    if bad := next((row for row in rows if len(row) != _NUM_FIELDS), None):
        raise UserError(
            f"{path}: '{' '.join(bad)[:60]}' has {len(bad)} fields; x y z length width height heading class needed"
        )
    try:
        box = np.array([[float(word) for word in row[:7]] for row in rows], np.float32).reshape(-1, 7)
    except ValueError as error:
        raise UserError(f"{path}: {error}; write it again") from None
    return FileBoxes(box, [row[7] for row in rows])
