"""Scans to v2 files: what Waymo's own converter writes, and a whole segment or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pcdet_poly import files
from pcdet_poly.errors import UserError
from pcdet_poly.waymo import Scan, decode_scan, list_segments_v2, read_records, read_scans_v2, write_segment_v2
from pcdet_poly.waymo.v2.schema import SCHEMAS
from tests.waymo.test_encode_decode import assert_same
from tests.waymo.v2.segments_v2 import SEGMENT, make_scans, write_made_up


@pytest.mark.parametrize("component", SCHEMAS)
def test_the_same_as_the_official_converter_writes(oracle: Path, tmp_path: Path, component: str) -> None:
    """Every column by name, type, place and nullability; every value exactly, labels to float32."""
    (record,) = read_records(oracle / "waymo" / "synth_frame.tfrecord")
    write_segment_v2(tmp_path, "synthetic_0", [decode_scan(record)])
    file = f"{component}/synthetic_0.parquet"
    official, ours = pq.ParquetFile(oracle / "waymo" / "v2" / file), pq.ParquetFile(tmp_path / file)
    assert ours.schema_arrow.to_string() == official.schema_arrow.to_string() == SCHEMAS[component].to_string()
    assert ours.schema.equals(official.schema)
    for name in official.schema_arrow.names:
        a, b = ours.read([name])[name], official.read([name])[name]
        if pa.types.is_float64(a.type) and component == "lidar_box":
            if ".acceleration" in name:  # not kept: empty, as for a v1 label without it
                assert a.null_count == len(a)
                continue
            a, b = a.cast(pa.float32(), safe=False), b.cast(pa.float32(), safe=False)
        assert a.equals(b), name


def test_labels_without_speed_or_level_leave_them_empty(tmp_path: Path) -> None:
    (scan,) = write_made_up(tmp_path, make_scans(1))
    table = pq.read_table(tmp_path / "lidar_box" / f"{SEGMENT}.parquet", partitioning=None)
    known, annotated = np.isfinite(scan.ground_truth.speed[:, 0]), scan.ground_truth.level > 0
    assert not known.all()
    assert not annotated.all()
    for axis in "xyz":
        assert table[f"[LiDARBoxComponent].speed.{axis}"].is_valid().to_pylist() == known.tolist()
    for task in ("detection", "tracking"):
        assert table[f"[LiDARBoxComponent].difficulty_level.{task}"].is_valid().to_pylist() == annotated.tolist()


def test_a_missing_second_return_is_empty_in_its_row(tmp_path: Path) -> None:
    write_made_up(tmp_path, make_scans(1, returns=1))
    table = pq.read_table(tmp_path / "lidar" / f"{SEGMENT}.parquet", partitioning=None)
    for part in ("values", "shape"):
        assert table[f"[LiDARComponent].range_image_return1.{part}"].null_count == 0
        assert table[f"[LiDARComponent].range_image_return2.{part}"].null_count == 5


def test_one_row_group_of_images_per_frame(tmp_path: Path) -> None:
    """So that any reader finds a frame without decoding others."""
    write_made_up(tmp_path)
    metadata = pq.read_metadata(tmp_path / "lidar" / f"{SEGMENT}.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [5, 5, 5]


def test_equal_scans_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_made_up(tmp_path / folder)
    for component in SCHEMAS:
        a, b = ((tmp_path / folder / component / f"{SEGMENT}.parquet").read_bytes() for folder in ("a", "b"))
        assert a == b


def _failing(scans: list[Scan]) -> Iterator[Scan]:
    yield from scans
    raise KeyboardInterrupt


def test_an_interruption_leaves_nothing_or_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_segment_v2(tmp_path, SEGMENT, _failing(make_scans()))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    before = write_made_up(tmp_path, make_scans(2))
    with pytest.raises(KeyboardInterrupt):
        write_segment_v2(tmp_path, SEGMENT, _failing(make_scans()))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(SCHEMAS)
    assert_same(tuple(read_scans_v2(tmp_path, SEGMENT)), tuple(before))


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_an_interruption_between_two_renames_leaves_no_readable_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A segment is being replaced by another one when the `number`-th rename fails."""
    write_made_up(tmp_path, make_scans(2))
    replace_file, count = files.os.replace, 0

    def failing(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if count == number + 1:
            raise OSError(28, "No space left on device")
        replace_file(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(OSError, match="No space"):
        write_made_up(tmp_path, make_scans(3))
    assert list_segments_v2(tmp_path) == [SEGMENT]
    with pytest.raises(UserError, match=r"vehicle_pose/made_up\.parquet: no such file; download \(or write again\)"):
        next(read_scans_v2(tmp_path, SEGMENT))
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.undo()
    again = write_made_up(tmp_path)
    assert_same(tuple(read_scans_v2(tmp_path, SEGMENT)), tuple(again))


def test_scans_that_do_not_make_a_segment(tmp_path: Path) -> None:
    first, second, _ = make_scans()
    with pytest.raises(UserError, match=f"frame other/{second.timestamp_us}: the frames of {SEGMENT} need its name"):
        write_made_up(tmp_path, [first, replace(second, segment="other")])
    with pytest.raises(UserError, match=f"frame {SEGMENT}/{first.timestamp_us}: .* differing times"):
        write_made_up(tmp_path, [first, first])
    moved = replace(second.lidars[0].calibration, beam_inclination_max_rad=9.0)
    lidars = (replace(second.lidars[0], calibration=moved), *second.lidars[1:])
    with pytest.raises(UserError, match="v2 keeps one calibration for a whole segment"):
        write_made_up(tmp_path, [first, replace(second, lidars=lidars)])
    with pytest.raises(UserError, match=f"{SEGMENT}: no frames to write"):
        write_made_up(tmp_path, [])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
