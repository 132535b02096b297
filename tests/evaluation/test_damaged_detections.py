"""detections.parquet: damaged files are one clear line, and never other detections."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import DetectionsFile, read_detections, write_detections
from pcdet_poly.evaluation.files.provenance import Provenance
from pcdet_poly.structures import Detections

CHANGES, CUTS = 500, 100
CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
FRAMES = ("segment_a/100", "segment_a/200", "ségment_b/17")


def build_detections(*, with_velocity: bool = True) -> list[Detections]:
    rng = np.random.default_rng(0)
    return [
        Detections(
            rng.normal(3, 1, (num, 7)).astype(np.float32),
            rng.integers(0, 3, num),
            rng.random(num).astype(np.float32),
            rng.normal(0, 3, (num, 2)).astype(np.float32) if with_velocity else None,
        )
        for num in (40, 0, 20)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_detections(tmp_path / "detections.parquet", FRAMES, build_detections(), CLASSES)
    return tmp_path / "detections.parquet"


def are_equal(first: DetectionsFile, second: DetectionsFile) -> bool:
    if (first.frame_ids, first.class_names) != (second.frame_ids, second.class_names):
        return False
    frames = [
        (ours.columns(), theirs.columns()) for ours, theirs in zip(first.detections, second.detections, strict=True)
    ]
    return all(a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a) for a, b in frames)


def check_outcome(path: Path, expected: DetectionsFile) -> bool:
    """Read the file: whether it was refused, with one line that names it. Anything else must give what was written."""
    try:
        found = read_detections(path)
    except UserError as error:
        message = str(error)
    else:
        assert are_equal(found, expected), "a damaged file reads as other detections"
        return False
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    return True


def test_changed_bytes_are_found(path: Path) -> None:
    whole, expected = path.read_bytes(), read_detections(path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(CHANGES):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        refused += check_outcome(path, expected)
    assert refused > CHANGES / 4, "more than a quarter of the bytes are of values, each of which a checksum holds"


def test_cut_files_are_found(path: Path) -> None:
    whole, expected = path.read_bytes(), read_detections(path)
    for end in np.random.default_rng(1).integers(0, len(whole), CUTS):
        path.write_bytes(whole[:end])
        assert check_outcome(path, expected)


def rewrite(path: Path, **columns: pa.Array) -> None:
    """Replace columns and keep the metadata, as damage does that Parquet itself does not find."""
    table = pq.read_table(path)
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)


@pytest.mark.parametrize("name", ["box", "label", "score", "velocity"])
def test_one_other_value_is_found_in_every_column(path: Path, name: str) -> None:
    rows = pq.read_table(path)[name].to_pylist()
    rows[2][-1] += 1
    rewrite(path, **{name: pa.array(rows, pq.read_table(path).schema.field(name).type)})
    with pytest.raises(UserError, match=r"detections\.parquet: damaged, its checksums are not those of its content"):
        read_detections(path)


def test_values_that_moved_to_another_frame_are_found(path: Path) -> None:
    """The numbers are the same in the same order; only the border between two frames is another."""
    table = pq.read_table(path)
    moved = {}
    for name, width in (("box", 7), ("label", 1), ("score", 1), ("velocity", 2)):
        first, second, third = table[name].to_pylist()
        moved[name] = pa.array([first[:-width], first[-width:] + second, third], table.schema.field(name).type)
    rewrite(path, **moved)
    with pytest.raises(UserError, match="its checksums are not those"):
        read_detections(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("class_names", ["VEHICLE", "CYCLIST", "PEDESTRIAN"]),
        ("class_names", "VEHICLE"),
        ("class_names", {"VEHICLE": 0}),
        ("crc32c", {}),
        ("crc32c", 7),
        ("crc32c", []),
    ],
)
def test_other_metadata_is_found(path: Path, key: str, value: object) -> None:
    table = pq.read_table(path)
    changed = {**table.schema.metadata, key.encode(): json.dumps(value).encode()}
    pq.write_table(table.replace_schema_metadata(changed), path)
    with pytest.raises(UserError, match=r"detections\.parquet: (damaged|not a readable Parquet file)"):
        read_detections(path)


def test_a_column_that_is_gone_is_found(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["velocity"]), path)
    with pytest.raises(UserError, match="its checksums are not those"):
        read_detections(path)


def write_without_checksums(path: Path) -> None:
    table = pq.read_table(path)
    kept = {key: value for key, value in table.schema.metadata.items() if key != b"crc32c"}
    pq.write_table(table.replace_schema_metadata(kept), path)


def test_a_file_of_before_there_were_checksums_is_read_with_a_note(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = read_detections(path)
    assert capsys.readouterr().err == ""
    write_without_checksums(path)
    assert are_equal(read_detections(path), expected)
    note = capsys.readouterr().err
    assert note.startswith(f"{path}: an older file without checksums")
    assert note.count("\n") == 1


def test_files_of_before_there_was_provenance_are_read_and_changed_provenance_is_found(path: Path) -> None:
    made = Provenance(run="a", metrics={"iou_thresholds": {"CAR": 0.5, "BUS": 0.6}})
    write_detections(path, FRAMES, build_detections(), CLASSES, provenance=made)
    expected, table = read_detections(path), pq.read_table(path)
    assert expected.provenance == made
    assert list(expected.provenance.read_metrics().type_names) == ["CAR", "BUS"]  # in the order that was written
    metadata = table.schema.metadata
    for changed in ({}, {b"provenance": b'{"run": "b"}'}):
        kept = {key: value for key, value in metadata.items() if key != b"provenance"} | changed
        pq.write_table(table.replace_schema_metadata(kept), path)
        with pytest.raises(UserError, match="its checksums are not those of its content"):
            read_detections(path)
    checksums = {name: value for name, value in json.loads(metadata[b"crc32c"]).items() if name != "provenance"}
    older = {b"class_names": metadata[b"class_names"], b"crc32c": json.dumps(checksums).encode()}
    pq.write_table(table.replace_schema_metadata(older), path)
    assert are_equal(read_detections(path), expected)
    assert read_detections(path).provenance == Provenance()
    assert Provenance(metrics={"of_a_later_version": 1}).read_metrics() is None


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("box", [[1.0] * 13, [], [1.0] * 140], r"segment_a/100 has 40 scores but 13 numbers of box; write 7 for each"),
        ("label", [[0] * 40, [1], [0] * 20], r"segment_a/200 has 0 scores but 1 numbers of label; write 1 for each"),
        ("velocity", [[0.0] * 80, [], None], r"velocity has places without a value"),
        ("score", [[0.5] * 39 + [None], [], [0.5] * 20], r"score has places without a value"),
        ("score", [["0.5"] * 40, [], ["0.5"] * 20], r"score is a column of lists of string, not of numbers"),
        ("score", [0.5, 0.5, 0.5], r"score is a column of double, not of lists"),
        ("frame_id", [1, 2, 3], r"frame_id is a column of int64"),
        ("frame_id", ["a/1", None, "b/1"], r"frame_id is a column of string with 1 places without a value"),
    ],
)
def test_odd_columns_of_files_without_checksums_are_named(path: Path, name: str, column: list, message: str) -> None:
    write_without_checksums(path)
    rewrite(path, **{name: pa.array(column)})
    with pytest.raises(UserError, match=message):
        read_detections(path)


def test_files_that_others_wrote_with_wider_numbers_are_read(path: Path) -> None:
    expected = read_detections(path)
    write_without_checksums(path)
    wide = {name: pq.read_table(path)[name].to_pylist() for name in ("box", "score")}
    rewrite(path, **{name: pa.array(rows, pa.large_list(pa.float64())) for name, rows in wide.items()})
    assert are_equal(read_detections(path), expected)


def test_without_velocity_there_is_no_column_of_it(tmp_path: Path) -> None:
    detections = build_detections(with_velocity=False)
    write_detections(tmp_path / "d.parquet", FRAMES, detections, CLASSES)
    assert pq.read_table(tmp_path / "d.parquet").column_names == ["frame_id", "box", "label", "score"]
    assert all(frame.velocity is None for frame in read_detections(tmp_path / "d.parquet").detections)


def test_a_missing_file_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_detections(tmp_path / "none.parquet")


def test_nan_and_infinity_keep_their_checksum(tmp_path: Path) -> None:
    (frame, *_) = build_detections()
    odd = replace(frame, score=np.where(np.arange(40) % 2, np.nan, np.inf).astype(np.float32))
    write_detections(tmp_path / "d.parquet", FRAMES[:1], [odd], CLASSES)
    np.testing.assert_array_equal(read_detections(tmp_path / "d.parquet").detections[0].score, odd.score)
