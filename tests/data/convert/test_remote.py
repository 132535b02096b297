"""Conversion from URLs and to URLs: the store that local folders give."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.convert.from_waymo import convert_waymo, find_waymo_sources
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.store.frame_store import Store, write_store
from pcdet_poly.errors import UserError
from pcdet_poly.paths import RemotePath, list_files_below
from pcdet_poly.waymo import list_segments_v2, read_frames, read_frames_v2, write_segment_v2
from tests.data.frames import assert_same_frame, make_frame
from tests.data.records import bytes_of, run, tool, without_places, write_segment_records
from tests.waymo.v2.segments_v2 import make_scans

fsspec = pytest.importorskip("fsspec")

SEGMENTS = ("a", "b")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 and v2 files of two segments."""
    folder = tmp_path_factory.mktemp("records")
    for segment in SEGMENTS:
        write_segment_records(folder / "v1", segment, 3)
        write_segment_v2(folder / "v2", segment, [replace(scan, segment=segment) for scan in make_scans()])
    return folder


@pytest.fixture
def cloud(records: Path) -> Iterator[RemotePath]:
    """memory://cloud with the records in it."""
    files = fsspec.filesystem("memory")
    files.put(str(records) + "/", "/cloud/", recursive=True)
    yield RemotePath("memory://cloud")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def stored(folder: RemotePath) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in list_files_below(folder)}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_store_behind_a_url_is_the_local_one(version: str, records: Path, cloud: RemotePath, tmp_path: Path) -> None:
    convert_waymo([str(records / version)], tmp_path)
    summary = convert_waymo([f"{cloud}/{version}"], f"{cloud}/store")
    assert without_places(stored(cloud / "store")) == without_places(bytes_of(tmp_path))
    local, remote = Store(tmp_path), Store(f"{cloud}/store")
    assert remote.manifest == summary.manifest
    assert_same_frame(local[4], remote[4])
    assert_same_frame(local.read_labels(2), remote.read_labels(2))
    for one, other in zip(local, FrameDataset([f"{cloud}/store"]), strict=True):
        assert_same_frame(one, other)


def test_a_second_run_converts_what_changed(records: Path, cloud: RemotePath, tmp_path: Path) -> None:
    convert_waymo([f"{cloud}/v1"], f"{cloud}/store")
    assert convert_waymo([f"{cloud}/v1"], f"{cloud}/store").num_kept == 2
    assert convert_waymo([str(records / "v1")], f"{cloud}/store").num_kept == 2  # the same files, fetched
    (cloud / "store" / "a.zip").unlink()
    summary = convert_waymo([f"{cloud}/v1"], f"{cloud}/store")
    assert [entry.segment for entry in summary.converted] == ["a"]
    with pytest.raises(UserError, match="made with precision = compact, now exact"):
        convert_waymo([f"{cloud}/v1"], f"{cloud}/store", precision="exact")


def test_names_of_inputs(cloud: RemotePath) -> None:
    names = [f"{cloud}/v1/{segment}.tfrecord" for segment in SEGMENTS]
    for inputs in ([f"{cloud}/v1/"], [f"{cloud}/v1/*.tfrecord"], [f"{cloud}/**/*.tfrecord"], names):
        assert list(map(str, find_waymo_sources(inputs))) == names
    assert len(find_waymo_sources([str(cloud)])) == 4
    assert list(map(str, find_waymo_sources([f"{cloud}/v2/*/a.parquet"]))) == [f"{cloud}/v2/lidar/a.parquet"]
    with pytest.raises(UserError, match=r"memory://nowhere: no TFRecord file there"):
        find_waymo_sources(["memory://nowhere"])


def test_frames_are_read_from_urls(records: Path, cloud: RemotePath) -> None:
    local, remote = read_frames(records / "v1" / "a.tfrecord"), read_frames(f"{cloud}/v1/a.tfrecord")
    for one, other in zip(local, remote, strict=True):
        assert_same_frame(one, other)
    assert list_segments_v2(f"{cloud}/v2") == list(SEGMENTS)
    for one, other in zip(read_frames_v2(records / "v2", "a"), read_frames_v2(f"{cloud}/v2", "a"), strict=True):
        assert_same_frame(one, other)
    with pytest.raises(UserError, match=r"memory://cloud/v1/c\.tfrecord: no such file"):
        next(read_frames(f"{cloud}/v1/c.tfrecord"))


def test_damage_behind_a_url_is_told(cloud: RemotePath) -> None:
    store = write_store(f"{cloud}/new", [make_frame(seed) for seed in range(3)])
    path = cloud / "new" / "segment-a.zip"
    files, name = fsspec.core.url_to_fs(str(path))
    whole = path.read_bytes()
    files.pipe_file(name, whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
    with pytest.raises(UserError, match=r"memory://cloud/new/segment-a\.zip: frame 0: wrong checksum"):
        store[0]
    files.pipe_file(name, whole[:-1])
    with pytest.raises(UserError, match=r"segment-a\.zip: cut off or damaged"):
        Store(f"{cloud}/new")[0]
    files.rm_file(name)
    with pytest.raises(UserError, match=r"segment-a\.zip: listed in the manifest, but missing"):
        Store(f"{cloud}/new")[0]
    with pytest.raises(UserError, match=r"memory://cloud/v1: no manifest\.json"):
        Store(f"{cloud}/v1")


def test_a_store_behind_a_url_is_checked(cloud: RemotePath) -> None:
    convert_waymo([f"{cloud}/v1"], f"{cloud}/store")
    assert [checked.faults for checked in check_store(f"{cloud}/store")] == [(), ()]


def test_the_command_with_two_workers(records: Path, tmp_path: Path) -> None:
    """local:// is the disk, by the code for clouds; file:// is a plain path."""
    shutil.copytree(records / "v1", tmp_path / "in")
    for output in ("local", "file"):
        command = tool("preprocess_waymo", f"{output}://{tmp_path}/in", "--output", f"{output}://{tmp_path}/{output}")
        assert "6 frames" in run([*command, "--workers", "2"]).stdout
    convert_waymo([str(records / "v1")], tmp_path / "expected")
    local, file, expected = (without_places(bytes_of(tmp_path / name)) for name in ("local", "file", "expected"))
    assert local == file == expected
