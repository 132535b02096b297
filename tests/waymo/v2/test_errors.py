"""v2 files that are missing, damaged or of another kind: one clear line for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.limits.parquet_sizes import count_unpacked_bytes
from pcdet_poly.waymo import Scan, list_segments_v2, read_frames_v2, read_scans_v2
from pcdet_poly.waymo.v2.component_file import ComponentFile
from pcdet_poly.waymo.v2.schema import LASER, PIXEL_POSE, RETURNS, SCHEMAS, TIMESTAMP, WORLD_FROM_VEHICLE
from tests.waymo.test_encode_decode import assert_same
from tests.waymo.v2.segments_v2 import SEGMENT, START_US, make_scans, rewrite, write_made_up


def assert_complaint(folder: Path, complaint: str, *, path: str) -> None:
    """Reading the segment fails with one line that begins with the path and holds `complaint`."""
    with pytest.raises(UserError, match=complaint) as caught:
        list(read_scans_v2(folder, SEGMENT))
    message = str(caught.value)
    assert message.startswith(f"{folder / path / SEGMENT}.parquet: ")
    assert "\n" not in message
    assert len(message) - len(str(folder)) < 240


@pytest.mark.parametrize("component", SCHEMAS)
def test_missing_files(tmp_path: Path, component: str) -> None:
    write_made_up(tmp_path)
    (tmp_path / component / f"{SEGMENT}.parquet").unlink()
    assert_complaint(tmp_path, f"no such file; download .* component {component} of this segment", path=component)
    (tmp_path / component).rmdir()
    assert_complaint(tmp_path, f"no such file; download .* component {component} of this segment", path=component)


@pytest.mark.parametrize("component", SCHEMAS)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_files_cut_off(tmp_path: Path, component: str, keep: float) -> None:
    write_made_up(tmp_path)
    path = tmp_path / component / f"{SEGMENT}.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    assert_complaint(tmp_path, "damaged or no Parquet file .* fetch it again", path=component)


def test_a_file_of_another_segment(tmp_path: Path) -> None:
    write_made_up(tmp_path)
    for component in SCHEMAS:
        (tmp_path / component / f"{SEGMENT}.parquet").rename(tmp_path / component / "other.parquet")
    with pytest.raises(UserError, match=rf"other\.parquet: holds rows of segment {SEGMENT}; rename"):
        list(read_scans_v2(tmp_path, "other"))


@pytest.mark.parametrize("component", SCHEMAS)
def test_missing_columns_and_wrong_types(tmp_path: Path, component: str) -> None:
    write_made_up(tmp_path)
    path = tmp_path / component / f"{SEGMENT}.parquet"
    sound = path.read_bytes()
    unread = re.compile(r"num_top|\.z$|acceleration|tracking|object_counts")
    columns = [name for name in SCHEMAS[component].names if name.startswith("key.") or not unread.search(name)]
    for name in [*columns, "[LiDARBoxComponent].box.center.z"][: len(columns) + (component == "lidar_box")]:
        path.write_bytes(sound)
        rewrite(tmp_path, component, lambda table, name=name: table.drop_columns([name]))
        assert_complaint(tmp_path, rf"column {re.escape(name)} is missing, .* needed", path=component)
        rewrite(tmp_path, component, lambda table, name=name: table.append_column(name, _halves(len(table))))
        assert_complaint(tmp_path, rf"column {re.escape(name)} is of type halffloat, .* needed", path=component)


def _halves(count: int) -> pa.Array:
    """A type that no official column has."""
    return pa.array(np.zeros(count, np.float16))


def _without(column: str, value: int) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.filter(pc.not_equal(table[column], value))


def _twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(1, 1)])


def _set(column: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        place = table.schema.get_field_index(column)
        return table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


FIRST, SECOND = RETURNS


@pytest.mark.parametrize(
    ("component", "change", "complaint"),
    [
        ("lidar_pose", _without(LASER, 1), "lidar: frame {start}: LiDAR TOP has range images but no pose per pixel"),
        ("lidar_pose", _without(TIMESTAMP, START_US), "lidar: frame {start}: LiDAR TOP has range images but no pose"),
        ("lidar_calibration", _without(LASER, 4), "lidar: frame {start}: LiDAR SIDE_RIGHT has range images but no cal"),
        ("vehicle_pose", _without(TIMESTAMP, START_US), "lidar: frame {start} is not in vehicle_pose"),
        ("vehicle_pose", _twice, "vehicle_pose: 4 rows with 3 timestamps"),
        ("vehicle_pose", _set(WORLD_FROM_VEHICLE, 1, None), "vehicle_pose: column .*transform is empty in some row"),
        ("vehicle_pose", _set(TIMESTAMP, 1, None), "vehicle_pose: column .*timestamp_micros is empty in some row"),
        ("lidar_calibration", _twice, "lidar_calibration: 6 rows with 5 LiDARs"),
        ("lidar", _twice, "lidar: frame {start} has LiDAR FRONT twice"),
        ("lidar", _set(LASER, 2, None), "lidar: column key.laser_name is empty in 1 of 15 rows"),
        ("lidar_box", _set(TIMESTAMP, 2, None), "lidar_box: column key.frame_timestamp_micros is empty in 1 of 21"),
        ("lidar_box", _set("[LiDARBoxComponent].box.heading", 2, None), "lidar_box: column .*heading is empty in 1 of"),
        ("lidar_box", _set("key.laser_object_id", 2, None), "lidar_box: column .*laser_object_id is empty in 1 of"),
        ("lidar", _set(f"{FIRST}.values", 1, None), "lidar: frame {start}: LiDAR FRONT has a second return but no"),
        ("lidar", _set(f"{FIRST}.values", 1, [1.0] * 7), r"lidar: frame {start}: LiDAR FRONT: 7 values .*\[4, 9, 4\]"),
        ("lidar", _set(f"{FIRST}.values", 1, [None] * 144), "lidar: frame {start}: LiDAR FRONT: 144 values"),
        ("lidar", _set(f"{FIRST}.shape", 1, [-4, -9, 4]), "lidar: frame {start}: LiDAR FRONT: 144 values of shape"),
        ("lidar", _set(f"{FIRST}.shape", 1, [4, 18, 2]), r"lidar: frame {start}: LiDAR FRONT, return 1: image of"),
        ("lidar", _set(f"{SECOND}.shape", 1, [2, 18, 4]), "lidar: frame {start}: LiDAR FRONT: returns of"),
        ("lidar", _set(f"{FIRST}.shape", 1, [1 << 22, 1 << 22, 1 << 20]), "lidar: frame {start}: LiDAR FRONT: 144 val"),
        ("lidar_pose", _set(f"{PIXEL_POSE}.shape", 0, [9, 4, 6]), r"lidar: frame {start}: LiDAR TOP: \(9, 4\) pixel"),
    ],
)
def test_rows_that_do_not_fit(
    tmp_path: Path, component: str, change: Callable[[pa.Table], pa.Table], complaint: str
) -> None:
    write_made_up(tmp_path)
    rewrite(tmp_path, component, change)
    path, _, rest = complaint.format(start=START_US).partition(": ")
    assert_complaint(tmp_path, rest, path=path)


def test_folders_without_a_segment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Waymo v2 segment; name the folder that holds lidar, "):
        list_segments_v2(tmp_path)


@pytest.mark.parametrize("returns", [(), (3,), (0, 1)])
def test_returns_that_do_not_exist(tmp_path: Path, returns: tuple[int, ...]) -> None:
    write_made_up(tmp_path)
    with pytest.raises(UserError, match="choose from 1 and 2"):
        next(read_frames_v2(tmp_path, SEGMENT, returns=returns))


def test_every_flipped_bit_in_our_data_pages_is_noticed(tmp_path: Path) -> None:
    """They carry checksums (Waymo's own do not): the same scans or one line, never other scans."""
    scans = tuple(write_made_up(tmp_path, make_scans(2)))
    path = tmp_path / "lidar" / f"{SEGMENT}.parquet"
    sound = path.read_bytes()
    metadata = pq.read_metadata(path)
    end = len(sound) - metadata.serialized_size - 8
    rng, messages = np.random.default_rng(0), []
    for position in rng.integers(4, end, 150):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            assert_same(tuple(read_scans_v2(tmp_path, SEGMENT)), scans)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) > 75
    assert not [message for message in messages if "\n" in message]


def test_flipped_bits_in_a_footer_never_end_in_a_traceback(tmp_path: Path) -> None:
    """Parquet has no checksum for it: some pass unnoticed, the others are one line."""
    write_made_up(tmp_path, make_scans(1))
    path = tmp_path / "lidar_calibration" / f"{SEGMENT}.parquet"
    sound = path.read_bytes()
    footer = pq.read_metadata(path).serialized_size + 8
    rng, messages = np.random.default_rng(0), []
    for position in len(sound) - rng.integers(1, footer, 200):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            list(read_scans_v2(tmp_path, SEGMENT))
        except UserError as error:
            messages.append(str(error))
    assert 50 < len(messages) < 200
    assert not [message for message in messages if "\n" in message]


@pytest.mark.parametrize(("component", "column"), [("lidar", FIRST), ("lidar_pose", PIXEL_POSE)])
def test_rows_that_are_announced_and_not_there(
    tmp_path: Path, component: str, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that ends early must not end the loop over frames, as a StopIteration inside of it would."""
    write_made_up(tmp_path)
    read_whole = pq.ParquetFile.iter_batches

    def end_early(file: pq.ParquetFile, **options: Any) -> Iterator[pa.RecordBatch]:
        batches = list(read_whole(file, **options))
        return iter(batches[:-1] if f"{column}.values" in options["columns"] else batches)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", end_early)
    assert_complaint(tmp_path, "row [0-9]+ is announced and not there: damaged; fetch it again", path=component)


def test_images_without_pixels_take_no_memory(tmp_path: Path) -> None:
    write_made_up(tmp_path)
    rewrite(tmp_path, "lidar", _set(f"{FIRST}.values", 1, []))
    rewrite(tmp_path, "lidar", _set(f"{FIRST}.shape", 1, [10**8, 0, 4]))
    assert_complaint(tmp_path, f"frame {START_US}: LiDAR FRONT, return 1: image of 100000000 x 0 pixels", path="lidar")


@pytest.mark.parametrize("component", SCHEMAS)
def test_files_that_take_too_much_memory(tmp_path: Path, component: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of it is read: the footer says how much that would be."""
    write_made_up(tmp_path)
    path = rewrite(tmp_path, component, lambda table: table)  # one row group
    metadata = pq.read_metadata(path)
    num_rows = metadata.num_rows if component in ("lidar", "lidar_pose") else 0
    with path.open("rb") as file:
        (unpacked,) = count_unpacked_bytes(file)
    limit = max(metadata.row_group(0).total_byte_size, unpacked) // (num_rows + 1)
    monkeypatch.setattr("pcdet_poly.waymo.v2.component_file.MAX_BYTES", limit + 1)
    ComponentFile.open(tmp_path, component, SEGMENT, ())
    monkeypatch.setattr("pcdet_poly.waymo.v2.component_file.MAX_BYTES", limit - 1)
    with pytest.raises(UserError, match=r"takes [0-9]+ bytes, at most [0-9]+ can be read: not from Waymo") as caught:
        ComponentFile.open(tmp_path, component, SEGMENT, ())
    assert str(caught.value).startswith(f"{path}: ")
    assert f"at most {limit - 1} are read; set PCDET_POLY_MAX_PARQUET_ROW_BYTES to more" in str(caught.value)


@pytest.mark.parametrize("component", SCHEMAS)
@pytest.mark.parametrize("with_checksums", [True, False])
def test_no_flipped_bit_loses_a_frame(tmp_path: Path, component: str, with_checksums: bool) -> None:
    """Either one line, or as many frames with as many range images as there were. Waymo's files have no checksums."""
    scans = write_made_up(tmp_path)
    path = tmp_path / component / f"{SEGMENT}.parquet"
    if not with_checksums:
        rewrite(tmp_path, component, lambda table: table, row_group_size=4)
    sound = path.read_bytes()
    rng, messages = np.random.default_rng(1), []
    for position in rng.integers(len(sound), size=60):
        damaged = bytearray(sound)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found = list(read_scans_v2(tmp_path, SEGMENT))
        except UserError as error:
            messages.append(str(error))
        else:
            assert [_count_images(scan) for scan in found] == [_count_images(scan) for scan in scans]
    assert 5 < len(messages) < 60
    assert not [message for message in messages if "\n" in message]


def _count_images(scan: Scan) -> list[int]:
    return [len(lidar.returns) for lidar in scan.lidars]
