"""Detections of many frames in one Parquet file: one row per frame, boxes in lists.

Columns: `frame_id` text, `box` list of float32 (seven per detection), `label` list of int16, `score` list of
float32, and where the model says it `velocity` list of float32 (x, y in the vehicle frame, m/s). The
names that labels point into stand in the schema's metadata as JSON, under `class_names`. Any Parquet
reader opens it; frames without detections have empty lists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.structures import Detections

_CLASS_NAMES = b"class_names"
_COLUMNS = {"box", "frame_id", "label", "score"}


@dataclass(frozen=True)
class DetectionsFile:
    """Content of a detections file: frame `frame_ids[i]` has `detections[i]`."""

    frame_ids: tuple[str, ...]
    detections: tuple[Detections, ...]
    class_names: tuple[str, ...]  # what labels point into


def write_detections(
    path: str | Path, frame_ids: Sequence[str], detections: Sequence[Detections], class_names: Sequence[str]
) -> None:
    """Write a detections file, whole or not at all.

    Args:
        path: the file, a .parquet.
        frame_ids: id of each frame, "segment/timestamp".
        detections: of each frame, boxes in the vehicle frame.
        class_names: names of the classes that the labels point into.

    Raises:
        UserError: the two lists differ in length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(frame_ids) != len(detections):
        raise UserError(f"{path}: {len(frame_ids)} frame ids but {len(detections)} frames of detections")
    rows = [frame.numpy() for frame in detections]

    def build_lists(columns: list[np.ndarray], dtype: Any) -> Any:
        ends = np.cumsum([0, *(column.size for column in columns)], dtype=np.int32)
        flat = np.concatenate([np.zeros(0, dtype), *(column.reshape(-1).astype(dtype) for column in columns)])
        return pa.ListArray.from_arrays(ends, flat)

    columns = {
        "frame_id": pa.array(list(frame_ids), pa.string()),
        "box": build_lists([frame.box for frame in rows], np.float32),
        "label": build_lists([frame.label for frame in rows], np.int16),
        "score": build_lists([frame.score for frame in rows], np.float32),
    }
    if rows and rows[0].velocity is not None:
        columns["velocity"] = build_lists([frame.columns()["velocity"] for frame in rows], np.float32)
    table = pa.table(columns)
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_CLASS_NAMES: json.dumps(list(class_names))}), temporary)


def read_detections(path: str | Path) -> DetectionsFile:
    """Read a file that `write_detections` wrote."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    names = (table.schema.metadata or {}).get(_CLASS_NAMES)
    if names is None or not _COLUMNS.issubset(table.column_names):
        raise UserError(f"{path}: a Parquet file without detections; expected columns {', '.join(sorted(_COLUMNS))}")
    ends = np.cumsum([0, *table["score"].combine_chunks().value_lengths().to_numpy()])
    box = _flatten_lists(table["box"]).reshape(-1, 7)
    label, score = _flatten_lists(table["label"]).astype(np.int64), _flatten_lists(table["score"])
    velocity = _flatten_lists(table["velocity"]).reshape(-1, 2) if "velocity" in table.column_names else None
    whole = Detections(box, label, score, velocity)
    frames = [slice(start, end) for start, end in pairwise(ends)]
    return DetectionsFile(
        tuple(table["frame_id"].to_pylist()),
        tuple(whole[frame] for frame in frames),
        tuple(json.loads(names)),
    )


def _flatten_lists(column: Any) -> np.ndarray:
    """Return the elements of a column of lists, one list after the other."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
