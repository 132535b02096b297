"""Waymo v2 folders to a store: the store that v1 files of the same frames give."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.data.convert.from_waymo import convert_waymo, find_waymo_sources
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from pcdet_poly.structures import GroundTruth
from pcdet_poly.waymo import encode_scan, write_records, write_segment_v2
from pcdet_poly.waymo.v2.schema import SCHEMAS
from tests.data.frames import assert_same_frame
from tests.data.records import bytes_of, run, tool
from tests.waymo.v2.segments_v2 import make_scans

SEGMENTS = ("b_2", "a", "b_10")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1/<segment>.tfrecord and v2/training/<component>/<segment>.parquet of the same frames."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "v1").mkdir()
    for segment in SEGMENTS:
        scans = [replace(scan, segment=segment) for scan in make_scans()]
        write_records(folder / "v1" / f"{segment}.tfrecord", map(encode_scan, scans))
        write_segment_v2(folder / "v2" / "training", segment, scans)
    return folder


def convert(inputs: Path, output: Path, **options: Any) -> Store:
    convert_waymo([str(inputs)], output, **options)
    return Store(output)


@pytest.mark.parametrize("returns", [(1, 2), (1,)])
def test_the_store_is_that_of_the_v1_files(dataset: Path, tmp_path: Path, returns: tuple[int, ...]) -> None:
    v1, v2 = (convert(dataset / version, tmp_path / version, returns=returns) for version in ("v1", "v2"))
    assert len(v1) == 9
    assert v1.frame_ids == v2.frame_ids
    for one, other in zip(v1, v2, strict=True):
        assert_same_frame(one, other)
    files = [
        {name: data for name, data in bytes_of(store.folder).items() if name != "manifest.json"} for store in (v1, v2)
    ]
    assert files[0] == files[1]


def test_the_official_conversion_gives_the_store_of_its_v1_file(oracle: Path, tmp_path: Path) -> None:
    inputs = oracle / "waymo"
    v1 = convert(inputs / "synth_frame.tfrecord", tmp_path / "v1", precision="exact")
    v2 = convert(inputs / "v2", tmp_path / "v2", precision="exact")
    assert_same_frame(v1[0], v2[0])


def test_segments_are_named_by_folder_file_or_pattern(dataset: Path) -> None:
    training = dataset / "v2" / "training"
    files = {name: training / "lidar" / f"{name}.parquet" for name in SEGMENTS}
    assert find_waymo_sources([str(dataset / "v2")]) == [files["a"], files["b_2"], files["b_10"]]
    assert find_waymo_sources([str(training / "lidar_box" / "a.parquet"), str(training)]) == list(
        find_waymo_sources([str(training)])
    )
    assert find_waymo_sources([str(training / "*" / "b_*.parquet")]) == [files["b_2"], files["b_10"]]
    assert len(find_waymo_sources([str(dataset)])) == 6
    with pytest.raises(UserError, match="no TFRecord file there, nor v2 components"):
        find_waymo_sources([str(training / "lidar" / "c*.parquet")])


def test_a_second_run_converts_only_what_changed(dataset: Path, tmp_path: Path) -> None:
    source = tmp_path / "v2"
    shutil.copytree(dataset / "v2" / "training", source)
    convert(source, tmp_path / "store")
    assert convert_waymo([str(source)], tmp_path / "store").num_kept == 3
    write_segment_v2(source, "a", [replace(scan, segment="a") for scan in make_scans(2)])
    summary = convert_waymo([str(source)], tmp_path / "store")
    assert (summary.num_kept, [entry.segment for entry in summary.converted]) == (2, ["a"])


@pytest.mark.parametrize("component", SCHEMAS)
def test_a_missing_component_stops_or_is_named(dataset: Path, tmp_path: Path, component: str) -> None:
    source = tmp_path / "v2"
    shutil.copytree(dataset / "v2" / "training", source)
    missing = source / component / "b_2.parquet"
    missing.unlink()
    with pytest.raises(UserError, match=f"{missing}: no such file"):
        convert_waymo([str(source)], tmp_path / "stopped")
    summary = convert_waymo([str(source)], tmp_path / "skipped", on_error="skip")
    assert [entry.segment for entry in summary.converted] == ["a", "b_10"]
    assert f"{missing}: no such file" in summary.failed["b_2.parquet"]


@pytest.mark.parametrize("split", ["testing", "testing_location"])
def test_the_testing_split_has_no_labels(dataset: Path, tmp_path: Path, split: str) -> None:
    source = tmp_path / split
    shutil.copytree(dataset / "v2" / "training", source)
    shutil.rmtree(source / "lidar_box")
    labelled = convert(dataset / "v2", tmp_path / "labelled", precision="exact")
    store = convert(source, tmp_path / "store", precision="exact")
    for one, other in zip(store, labelled, strict=True):
        assert_same_frame(one, replace(other, ground_truth=GroundTruth.empty()))


def test_labels_that_are_there_are_read_in_the_testing_split_too(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset / "v2" / "training", tmp_path / "testing")
    assert sum(len(frame.ground_truth) for frame in convert(tmp_path / "testing", tmp_path / "store")) > 0


def test_missing_labels_say_where_they_may_be_missing(dataset: Path, tmp_path: Path) -> None:
    source = tmp_path / "training"
    shutil.copytree(dataset / "v2" / "training", source)
    shutil.rmtree(source / "lidar_box")
    with pytest.raises(UserError, match=r"lidar_box.*no such file.*only a folder named testing may lack it"):
        convert(source, tmp_path / "store")


def test_a_damaged_frame_is_left_out_and_named(dataset: Path, tmp_path: Path) -> None:
    source = tmp_path / "v2"
    shutil.copytree(dataset / "v2" / "training", source)
    path = source / "lidar" / "a.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # in the second of three row groups, a frame each
    path.write_bytes(data)
    summary = convert_waymo([str(source)], tmp_path / "store", on_error="skip", precision="exact")
    (entry,) = (entry for entry in summary.converted if entry.segment == "a")
    assert len(entry.timestamps_us) == 2
    assert len(entry.skipped) == 1
    assert f"{path}: damaged" in entry.skipped[0]


def test_the_command(dataset: Path, tmp_path: Path) -> None:
    said = run(tool("preprocess_waymo", dataset / "v2", "--output", tmp_path / "store", "--workers", "2")).stdout
    assert "9 frames" in said
    assert len(Store(tmp_path / "store")) == 9
