"""Detections of many frames in one Parquet file: one row per frame, boxes in lists.

Columns: `frame_id` text, `box` list of float32 (seven per detection), `label` list of int16, `score` list of
float32, where the model says it `velocity` list of float32 (x, y in the vehicle frame, m/s), and where it is known
`in_no_label_zone` list of uint8 (1 for a detection in a no-label zone). The schema's metadata has, as JSON, the names
that labels point into under `class_names`, what the detections are of under `provenance` (`provenance.py`), and under
`crc32c` a checksum of each of these and of every column, taken of its values, which reading verifies. Any Parquet
reader opens the file; frames without detections have empty lists.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.files.parquet_columns import (
    ListColumn,
    checksum_column,
    describe_damage,
    list_damage_errors,
    read_lists,
    read_texts,
)
from pcdet_poly.evaluation.files.provenance import UNKNOWN, Provenance
from pcdet_poly.files import atomic_path
from pcdet_poly.limits import explain_limit, find_limit, refuse_device
from pcdet_poly.limits.parquet_sizes import count_unpacked_bytes
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.structures import Detections

MAX_BYTES = find_limit("EVALUATION")  # of all columns, unpacked
_CLASS_NAMES, _PROVENANCE, _CHECKSUMS = b"class_names", b"provenance", b"crc32c"
_ZONE = "in_no_label_zone"
_LISTS = {"box": np.float32, "label": np.int16, "score": np.float32, "velocity": np.float32, _ZONE: np.uint8}
_WIDTHS = {"box": 7, "label": 1, "score": 1, "velocity": 2, _ZONE: 1}  # numbers per detection
_NEEDED = {"box", "frame_id", "label", "score"}


@dataclass(frozen=True)
class DetectionsFile:
    """Content of a detections file: frame `frame_ids[i]` has `detections[i]`."""

    frame_ids: tuple[str, ...]
    detections: tuple[Detections, ...]
    class_names: tuple[str, ...]  # what labels point into
    in_no_label_zone: tuple[np.ndarray, ...] | None = None  # per frame (N,) bool; None: not recorded
    provenance: Provenance = UNKNOWN


@dataclass(frozen=True)
class _Content:
    """The columns of a file as they are stored."""

    class_names: tuple[str, ...]
    frame_ids: tuple[str, ...]
    lists: dict[str, ListColumn]
    provenance: str | None  # JSON; None in files of earlier versions

    def compute_checksums(self) -> dict[str, int]:
        """Return the CRC-32C of every column, of the class names and of the provenance."""
        texts = {"class_names": self.class_names, "frame_id": self.frame_ids}
        if self.provenance is not None:
            texts["provenance"] = (self.provenance,)
        return {name: checksum_column(values) for name, values in (texts | self.lists).items()}


def write_detections(
    path: str | Path,
    frame_ids: Sequence[str],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    *,
    in_no_label_zone: Sequence[np.ndarray] | None = None,
    provenance: Provenance = UNKNOWN,
) -> None:
    """Write a detections file, whole or not at all.

    Args:
        path: the file, a .parquet.
        frame_ids: id of each frame, "segment/timestamp".
        detections: of each frame, boxes in the vehicle frame.
        class_names: names of the classes that the labels point into.
        in_no_label_zone: per frame, (N,) bool, which detections lie in a no-label zone; None where it is not known.
        provenance: what the detections are of.

    Raises:
        UserError: the lists differ in length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(frame_ids) != len(detections):
        raise UserError(f"{path}: {len(frame_ids)} frame ids but {len(detections)} frames of detections")
    rows = [frame.numpy().columns() for frame in detections]
    if in_no_label_zone is not None:
        rows = [row | {_ZONE: mask} for row, mask in zip(rows, in_no_label_zone, strict=True)]
    names = [name for name in _LISTS if name in (rows[0] if rows else _NEEDED)]
    lists = {name: ListColumn.join([frame[name] for frame in rows], _LISTS[name]) for name in names}
    content = _Content(tuple(class_names), tuple(frame_ids), lists, json.dumps(provenance.to_json()))
    columns = {"frame_id": pa.array(content.frame_ids, pa.string())}
    columns |= {name: pa.ListArray.from_arrays(column.ends, column.values) for name, column in lists.items()}
    values = {_CLASS_NAMES: content.class_names, _CHECKSUMS: content.compute_checksums()}
    metadata = {key: json.dumps(value) for key, value in values.items()} | {_PROVENANCE: content.provenance}
    table = pa.table(columns).replace_schema_metadata(metadata)
    with atomic_path(path) as temporary, temporary.open("wb") as file:  # pyarrow opens no path that is no UTF-8
        pq.write_table(table, file)


def read_detections(path: str | Path) -> DetectionsFile:
    """Read a file that `write_detections` wrote. Raises UserError where it is another file, or damaged."""
    import pyarrow.parquet as pq

    refuse_device(path)
    with open(path, "rb") as file:  # a missing file is no damage
        try:
            if (size := sum(count_unpacked_bytes(file))) > MAX_BYTES:
                limit = explain_limit("EVALUATION", MAX_BYTES)
                raise UserError(f"{path}: its columns take {size} bytes, {limit}, or evaluate it in parts")
            table = pq.read_table(file, read_dictionary=["frame_id"])  # equal texts, however many, take no memory
            metadata = table.schema.metadata or {}
            if _CLASS_NAMES not in metadata or not _NEEDED.issubset(table.column_names):
                names = ", ".join(sorted(_NEEDED))
                raise UserError(f"{path}: a Parquet file without detections; expected columns {names}")
            content = _read_content(table, metadata)
            provenance = Provenance.from_json(json.loads(content.provenance or "{}"))
            checksums = json.loads(metadata.get(_CHECKSUMS, "null"))
        except UserError:
            raise
        except list_damage_errors() as error:
            raise UserError(f"{path}: not a readable Parquet file ({describe_damage(error)})") from error
    if checksums is None:
        print_line(f"{path}: an older file without checksums; damage to it could go unnoticed", file=sys.stderr)
    elif checksums != content.compute_checksums():
        raise UserError(f"{path}: damaged, its checksums are not those of its content; evaluate the run again")
    return replace(_split_frames(content, path), provenance=provenance)


def _read_content(table: Any, metadata: Mapping[bytes, bytes]) -> _Content:
    """Return the columns of a table; ValueError where one is of another type."""
    names, provenance = json.loads(metadata[_CLASS_NAMES]), metadata.get(_PROVENANCE)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("class_names is not a list of names")
    lists = {name: read_lists(table, name, dtype) for name, dtype in _LISTS.items() if name in table.column_names}
    text = None if provenance is None else provenance.decode()
    return _Content(tuple(names), read_texts(table, "frame_id"), lists, text)


def _split_frames(content: _Content, path: str | Path) -> DetectionsFile:
    """Return the detections frame by frame. Raises UserError where the columns do not fit together."""
    num = content.lists["score"].lengths  # (F,)
    for name, column in content.lists.items():
        odd = np.flatnonzero(column.lengths != _WIDTHS[name] * num)
        if len(odd):
            raise UserError(
                f"{path}: {content.frame_ids[odd[0]]} has {num[odd[0]]} scores but {column.lengths[odd[0]]} numbers of "
                f"{name}; write {_WIDTHS[name]} for each score"
            )
    (twice, times), *_ = Counter(content.frame_ids).most_common(1) or [("", 0)]
    if times > 1:
        raise UserError(f"{path}: frame {twice} is there {times} times; keep one of them")
    values = {name: column.values for name, column in content.lists.items()}
    pairs = {name: values[name].reshape(-1, _WIDTHS[name]) for name in ("box", "velocity") if name in values}
    whole = Detections(label=values["label"].astype(np.int64), score=values["score"], **pairs)
    frames = [slice(start, end) for start, end in pairwise(np.cumsum([0, *num]))]
    zone = values[_ZONE] > 0 if _ZONE in values else None
    in_zone = None if zone is None else tuple(zone[frame] for frame in frames)
    return DetectionsFile(content.frame_ids, tuple(whole[frame] for frame in frames), content.class_names, in_zone)
