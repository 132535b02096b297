"""v2 files to frames: the same as from v1, whatever the order of their rows, in bounded memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pcdet_poly.waymo import (
    encode_scan,
    list_segments_v2,
    read_frames,
    read_frames_v2,
    read_scans_v2,
    write_records,
    write_segment_v2,
)
from pcdet_poly.waymo.v2.schema import LASER, SCHEMAS, TIMESTAMP
from tests.waymo.test_encode_decode import assert_same
from tests.waymo.v2.segments_v2 import SEGMENT, make_scans, rewrite, write_made_up


def assert_same_frames(a: object, b: object) -> None:
    """Equal in every field and bit."""
    for name, value in vars(a).items():
        other = getattr(b, name)
        if name == "context":
            assert value == other
        else:
            assert_same(value, other)


@pytest.mark.parametrize("returns", [(1, 2), (1,), (2,)])
def test_the_official_conversion_of_a_v1_file_gives_the_same_frame(oracle: Path, returns: tuple[int, ...]) -> None:
    """All points of five LiDARs exactly, labels, calibrations, pose."""
    (v1,) = read_frames(oracle / "waymo" / "synth_frame.tfrecord", returns=returns)
    (v2,) = read_frames_v2(oracle / "waymo" / "v2", "synthetic_0", returns=returns)
    assert len(v1.points) > 5_000
    assert len(v1.ground_truth) == 40
    assert_same_frames(v1, v2)


def test_both_versions_of_a_segment_give_the_same_frames(tmp_path: Path) -> None:
    """Labels with and without speed and level, and a context, which the official frame lacks."""
    scans = write_made_up(tmp_path)
    write_records(tmp_path / "v1.tfrecord", map(encode_scan, scans))
    v1, v2 = list(read_frames(tmp_path / "v1.tfrecord")), list(read_frames_v2(tmp_path, SEGMENT))
    assert len(v1) == 3
    assert np.isnan(v1[0].ground_truth.speed).any()
    assert {*v1[0].ground_truth.level} == {0, 1, 2}
    assert v1[0].context["weather"] == "sunny"
    for a, b in zip(v1, v2, strict=True):
        assert_same_frames(a, b)


@pytest.mark.parametrize("options", [{}, {"returns": 1}, {"returns": 0}, {"rows": 64, "columns": 130}])
def test_round_trip(tmp_path: Path, options: dict[str, int]) -> None:
    scans = write_made_up(tmp_path, make_scans(2, **options))
    assert_same(tuple(read_scans_v2(tmp_path, SEGMENT)), tuple(scans))


def test_segments_are_found_by_any_component(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_segment_v2(tmp_path, name, [replace(scan, segment=name) for scan in make_scans(1)])
    (tmp_path / "vehicle_pose" / "a.parquet").unlink()
    (tmp_path / "lidar" / ".c.parquet").touch()
    (tmp_path / "camera_image").mkdir()
    (tmp_path / "camera_image" / "d.parquet").touch()
    assert list_segments_v2(tmp_path) == ["a", "b"]


def _shuffled(seed: int) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.take(np.random.default_rng(seed).permutation(len(table)))


def _by_lidar(table: pa.Table) -> pa.Table:
    return table.take(pc.sort_indices(table, [(LASER, "descending"), (TIMESTAMP, "ascending")]))


@pytest.mark.parametrize("row_group_size", [1, 2, 7, 1000])
@pytest.mark.parametrize("order", [_shuffled(0), _shuffled(1), _by_lidar])
def test_rows_in_any_order(tmp_path: Path, order: Callable[[pa.Table], pa.Table], row_group_size: int) -> None:
    scans = write_made_up(tmp_path, make_scans(4))
    for component in ("lidar", "lidar_pose"):
        rewrite(tmp_path, component, order, row_group_size=row_group_size)
    for component in ("vehicle_pose", "stats", "lidar_calibration"):
        rewrite(tmp_path, component, _shuffled(2))
    assert_same(tuple(read_scans_v2(tmp_path, SEGMENT)), tuple(scans))


def test_labels_keep_the_order_of_their_file_within_a_frame(tmp_path: Path) -> None:
    scans = write_made_up(tmp_path)
    rewrite(tmp_path, "lidar_box", lambda table: table.take(np.arange(len(table))[::-1]))
    for scan, read in zip(scans, read_scans_v2(tmp_path, SEGMENT), strict=True):
        assert_same(read.ground_truth, scan.ground_truth[::-1])


def test_columns_of_others_do_not_matter(tmp_path: Path) -> None:
    """Waymo's own files have an index column in front; labels of unknown type are left out, as from v1."""
    scans = write_made_up(tmp_path)
    for component in SCHEMAS:
        rewrite(tmp_path, component, lambda table: table.add_column(0, "index", pa.array(range(len(table)))))
    rewrite(tmp_path, "lidar_box", _with_unknown_type)
    for scan, read in zip(scans, read_scans_v2(tmp_path, SEGMENT), strict=True):
        assert_same(replace(read, ground_truth=scan.ground_truth), scan)
        assert_same(read.ground_truth, scan.ground_truth[scan.ground_truth.label != 0])


def _with_unknown_type(table: pa.Table) -> pa.Table:
    """Vehicles become TYPE_UNKNOWN."""
    name = "[LiDARBoxComponent].type"
    kinds = table[name].to_numpy()
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.array(np.where(kinds == 1, 0, kinds), pa.int8()))


def test_frames_without_labels(tmp_path: Path) -> None:
    scans = make_scans()
    empty = replace(scans[1], ground_truth=scans[1].ground_truth[:0])
    write_made_up(tmp_path, [scans[0], empty, scans[2]])
    found = [len(frame.ground_truth) for frame in read_frames_v2(tmp_path, SEGMENT)]
    assert found == [7, 0, 7]
    write_made_up(tmp_path, [empty])
    (frame,) = read_frames_v2(tmp_path, SEGMENT)
    assert frame.ground_truth.box.shape == (0, 7)


def test_one_warning_where_frames_have_no_lidar_data(tmp_path: Path) -> None:
    scans = make_scans()
    blind = [
        replace(scan, lidars=tuple(replace(s, returns=(), pixel_pose=None) for s in scan.lidars)) for scan in scans
    ]
    write_made_up(tmp_path, [scans[0], *blind[1:]])
    with pytest.warns(UserWarning, match=f"{SEGMENT}/{scans[1].timestamp_us} has no LiDAR data") as caught:
        frames = list(read_frames_v2(tmp_path, SEGMENT))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [len(frame.points) > 0 for frame in frames] == [True, False, False]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(read_frames_v2(tmp_path, SEGMENT))


def test_memory_is_that_of_a_few_frames_whatever_the_row_groups(tmp_path: Path) -> None:
    """25 frames in one row group (Waymo's hold 51), read with less memory than 10 take."""
    scans = write_made_up(tmp_path, make_scans(25, rows=64, columns=200))
    for component in ("lidar", "lidar_pose"):
        path = rewrite(tmp_path, component, lambda table: table)
        assert pq.ParquetFile(path).num_row_groups == 1
    frame_bytes = sum(image.nbytes for lidar in scans[0].lidars for image in lidar.returns)
    before, peak = pa.total_allocated_bytes(), 0
    for _ in read_scans_v2(tmp_path, SEGMENT):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert frame_bytes < peak < 10 * frame_bytes
