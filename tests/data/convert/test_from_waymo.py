"""TFRecords to a store: same bytes by any number of workers, resumed, damaged, interrupted, locked, full."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.convert import build_store as build
from pcdet_poly.data.convert.from_waymo import convert_waymo, find_waymo_sources
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.data.store.manifest import read_manifest
from pcdet_poly.errors import UserError, run_command
from pcdet_poly.waymo import read_frames
from tests.data.frames import assert_same_frame
from tests.data.records import bytes_of, run, tool, write_segment_records

SEGMENTS = ("b_2", "a", "b_10")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for segment in SEGMENTS:
        write_segment_records(folder, segment, 3)
    return folder


def convert(inputs: Path, output: Path, **options: Any) -> build.ConversionSummary:
    return convert_waymo([str(inputs)], output, **options)


def test_frames_are_those_of_the_records(records: Path, tmp_path: Path) -> None:
    summary = convert(records, tmp_path, precision="exact")
    store = Store(tmp_path)
    given = [frame for segment in sorted(SEGMENTS) for frame in read_frames(records / f"{segment}.tfrecord")]
    for one, other in zip(given, store, strict=True):
        assert_same_frame(one, other)
    assert len(summary.converted) == 3
    assert summary.manifest == store.manifest
    for entry in store.manifest.segments:
        frames = [frame for frame in given if frame.segment == entry.segment]
        assert entry.num_points == sum(len(frame.points) for frame in frames)
        for i, name in enumerate(store.class_names):
            assert entry.num_objects[name] == sum(int((f.ground_truth.label == i).sum()) for f in frames)


def test_first_returns_only(records: Path, tmp_path: Path) -> None:
    convert(records / "a.tfrecord", tmp_path, precision="exact", returns=[1])
    for one, other in zip(read_frames(records / "a.tfrecord", returns=[1]), Store(tmp_path), strict=True):
        assert_same_frame(one, other)


def test_any_number_of_workers_writes_the_same_bytes(records: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        convert(records, tmp_path / str(workers), workers=workers)
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


def test_a_second_run_converts_nothing(records: Path, tmp_path: Path) -> None:
    convert(records, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    summary = convert(records, tmp_path)
    assert (summary.num_kept, summary.converted) == (3, ())
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def test_what_changed_is_converted_again(records: Path, tmp_path: Path) -> None:
    source = tmp_path / "records"
    shutil.copytree(records, source)
    store = tmp_path / "store"
    convert(source, store)
    whole = bytes_of(store)
    write_segment_records(source, "a", 2)  # a new version of one input
    (store / "b_2.zip").unlink()  # a lost output
    with open(store / "b_10.zip", "r+b") as file:  # a cut one
        file.truncate(100)
    summary = convert(source, store)
    assert sorted(entry.segment for entry in summary.converted) == ["a", "b_10", "b_2"]
    assert len(Store(store)) == 8
    assert (store / "b_2.zip").read_bytes() == whole["b_2.zip"]
    assert (store / "b_10.zip").read_bytes() == whole["b_10.zip"]


def test_another_way_of_converting_needs_another_folder(records: Path, tmp_path: Path) -> None:
    convert(records, tmp_path)
    with pytest.raises(UserError, match="made with precision = compact, now exact"):
        convert(records, tmp_path, precision="exact")
    with pytest.raises(UserError, match="made with returns = 1 2, now 1;"):
        convert(records, tmp_path, returns=[1])


def test_files_folders_and_patterns(records: Path, tmp_path: Path) -> None:
    names = ["a.tfrecord", "b_2.tfrecord", "b_10.tfrecord"]  # natural order
    for inputs in ([str(records)], [str(records / "*.tfrecord")], [str(records / name) for name in names]):
        assert [path.name for path in find_waymo_sources(inputs)] == names
    assert len(find_waymo_sources([str(records), str(records / "a.tfrecord")])) == 3
    for nothing in (tmp_path, tmp_path / "nowhere", tmp_path / "*.tfrecord"):
        with pytest.raises(UserError, match="no TFRecord file there"):
            find_waymo_sources([str(nothing)])
    write_segment_records(tmp_path / "other", "a", 1)
    with pytest.raises(UserError, match="convert into two folders"):
        find_waymo_sources([str(records), str(tmp_path)])


def test_one_segment_in_two_files_is_refused(records: Path, tmp_path: Path) -> None:
    source = tmp_path / "records"
    shutil.copytree(records, source)
    shutil.copy(source / "a.tfrecord", source / "copy_of_a.tfrecord")
    with pytest.raises(UserError, match=r"segment a is in a\.tfrecord and in copy_of_a\.tfrecord"):
        convert(source, tmp_path / "store")


# Damaged inputs


def damaged(records: Path, folder: Path) -> Path:
    """Copies of the records: record 1 of a has a wrong byte, b_10 is cut off in record 2, b_2 is no TFRecord."""
    shutil.copytree(records, folder)
    path = folder / "a.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    path = folder / "b_10.tfrecord"
    path.write_bytes(path.read_bytes()[:-50])
    (folder / "b_2.tfrecord").write_bytes(b"something else entirely")
    return folder


def test_damage_stops_by_default(records: Path, tmp_path: Path) -> None:
    source = damaged(records, tmp_path / "records")
    with pytest.raises(UserError, match=r"a\.tfrecord: record 1 at byte \d+: wrong checksum"):
        convert(source, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_damage_can_be_left_out(records: Path, tmp_path: Path) -> None:
    source = damaged(records, tmp_path / "records")
    store = tmp_path / "store"
    summary = convert(source, store, on_error="skip", precision="exact")
    whole = {segment: list(read_frames(records / f"{segment}.tfrecord")) for segment in SEGMENTS}
    expected = [whole["a"][0], whole["a"][2], *whole["b_10"][:2]]
    for one, other in zip(expected, Store(store), strict=True):
        assert_same_frame(one, other)
    a, b_10 = read_manifest(store).segments
    assert "record 1" in a.skipped[0]
    assert "record 2" in b_10.skipped[0]
    assert list(summary.failed) == ["b_2.tfrecord"]
    assert "not a TFRecord" in summary.failed["b_2.tfrecord"]
    assert summary.failed == read_manifest(store).failed
    write_segment_records(source, "b_2", 3)  # fetched again: the note goes
    assert convert(source, store, on_error="skip", precision="exact").failed == {}
    assert read_manifest(store).failed == {}


def test_a_record_of_another_segment_is_refused(records: Path, tmp_path: Path) -> None:
    path = tmp_path / "mixed.tfrecord"
    path.write_bytes((records / "a.tfrecord").read_bytes() + (records / "b_2.tfrecord").read_bytes())
    with pytest.raises(UserError, match="frame 3 is of segment b_2"):
        convert(path, tmp_path / "store")


# Interruptions


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for i in range(6):
        write_segment_records(folder, f"s{i}", 4, rows=32, columns=300)
    return folder


def test_a_killed_command_takes_its_workers_along(many: Path, tmp_path: Path) -> None:
    """One worker, twenty kills: test_faults.py."""
    expected = tmp_path / "expected"
    convert(many, expected)
    rng = random.Random(2)
    store = tmp_path / "store"
    command = tool("preprocess_waymo", many, "--output", store, "--workers", "2")
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for((store / ".lock").exists)
        time.sleep(rng.uniform(0, 1.0))
        process.kill()
        process.wait()
        if (store / "manifest.json").exists():
            for frame in Store(store):  # what the manifest names is whole
                assert len(frame.points)
    run(command)
    _wait_for(lambda: not list(store.glob("*.part")))
    assert bytes_of(store) == bytes_of(expected)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c(many: Path, tmp_path: Path, workers: str) -> None:
    store = tmp_path / "store"
    command = tool("preprocess_waymo", many, "--output", store, "--workers", workers)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for(lambda: any(store.glob(".*.part")))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=3600)
    assert process.returncode == 130, stderr
    assert len(stderr.splitlines()) == 1
    assert not list(store.glob(".*.part"))
    convert(many, store)
    assert len(Store(store)) == 24


def _wait_for(happened: Any, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.002)


def test_two_conversions_into_one_folder(records: Path, tmp_path: Path) -> None:
    with open(tmp_path / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another conversion is writing here"):
            convert(records, tmp_path)
    convert(records, tmp_path)


def test_leftovers_of_a_killed_conversion_go(records: Path, tmp_path: Path) -> None:
    (tmp_path / ".a.zip.0a1b2c3d.part").write_bytes(b"half")
    convert(records, tmp_path)
    assert not list(tmp_path.glob(".*.part"))


def test_too_little_space_is_told_before_the_start(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"needed for 3 segments, 0\.0 GB free"):
        convert(records, tmp_path)
    assert not list(tmp_path.glob("*.zip"))


def test_the_estimate_of_space_is_near(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(many, tmp_path / "store")
    needed = sum(path.stat().st_size for path in (tmp_path / "store").glob("*.zip"))
    for free, fits in ((needed * 0.8, False), (needed * 1.2, True)):
        usage = shutil.disk_usage(tmp_path)._replace(free=int(free))
        monkeypatch.setattr(build.shutil, "disk_usage", lambda path, usage=usage: usage)
        target = tmp_path / str(free)
        if fits:
            convert(many, target)
        else:
            with pytest.raises(UserError, match="GB needed"):
                convert(many, target)


def test_a_full_disk(many: Path, tmp_path: Path) -> None:
    """A limit on file size stands in for the disk: writing fails in the middle of a segment."""
    store = tmp_path / "store"
    done = subprocess.run(
        tool("preprocess_waymo", many, "--output", store),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not store.exists()


def test_no_space_left_on_the_device(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pcdet_poly.data.store.segment_file.SegmentWriter.write_frame", full)
    assert run_command(lambda: convert(records, tmp_path) and 0) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device; free some disk space and run the same command again" in line
    assert [path.name for path in tmp_path.iterdir()] == []


# The commands


def test_the_command_says_what_it_did(records: Path, tmp_path: Path) -> None:
    command = tool("preprocess_waymo", damaged(records, tmp_path / "records"), "--output", tmp_path / "store")
    assert "record 1" in run(command, exit_code=2).stderr
    said = run([*command, "--on-error", "skip", "--workers", "2", "--json", str(tmp_path / "summary.json")]).stdout
    assert "2 segments converted, 0 were there already, 1 failed" in said
    assert "left out: " in said
    assert "failed: " in said
    assert "2 segments, 4 frames" in said
    assert re.search(r"CPU time [\d.]+ s, [\d.]+ ms a frame: .*\bencode \d+ %", said)
    numbers = json.loads((tmp_path / "summary.json").read_text())
    assert (numbers["segments"], numbers["frames"], len(numbers["left_out"]), list(numbers["failed"])) == (
        2,
        4,
        2,
        ["b_2.tfrecord"],
    )
    stages = {"read", "decompress", "parse", "labels", "geometry", "check", "encode", "write", "other"}
    assert set(numbers["cpu_s"]) == stages
    assert numbers["mb_written"] == pytest.approx(
        sum(p.stat().st_size for p in (tmp_path / "store").glob("*.zip")) / 1e6
    )
    assert "2 were there already" in run([*command, "--on-error", "skip"]).stdout
    run(tool("check_frames", tmp_path / "store"))


def test_an_address_without_ray_is_refused(records: Path, tmp_path: Path) -> None:
    command = tool("preprocess_waymo", records, "--output", tmp_path / "store", "--ray-address", "auto")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--ray-address needs --executor ray" in done.stderr


def test_a_missing_input_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    said = run(tool("preprocess_waymo", tmp_path / "nowhere", "--output", tmp_path / "store"), exit_code=2)
    assert "nowhere" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(records: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    said = run(tool("preprocess_waymo", records, "--output", tmp_path / "file" / "store"), exit_code=2)
    assert "name a folder" in said.stderr


@pytest.mark.parametrize("name", ["preprocess_waymo", "import_frames", "check_frames"])
def test_help(name: str) -> None:
    assert "default" in run(tool(name, "--help")).stdout


def test_real_waymo_records(real_data: Path, tmp_path: Path) -> None:
    summary = convert_waymo([str(real_data / "waymo")], tmp_path)
    assert len(summary.converted) == 3
    assert {len(frame.points) for frame in Store(tmp_path)} == {0, 133_153 + 13_588}
    assert not any(checked.faults for checked in check_store(tmp_path))
