"""Simulated segments as v2 files: the frames of the v1 files, kept when whole, written again when not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.simulation import write as writing
from pcdet_poly.waymo import Scan, list_segments_v2, read_frames, read_frames_v2, read_scans_v2
from pcdet_poly.waymo.v2.schema import SCHEMAS
from tests.waymo.test_encode_decode import assert_same
from tests.waymo.v2.segments_v2 import make_scans

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def _quick_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up scans in place of cast rays, at the simulator's own times."""

    def simulate(seed: int, *, name: str, num_frames: int, interval_s: float) -> Iterator[Scan]:
        times = writing.list_timestamps_us(seed, num_frames, interval_s)
        for scan, timestamp_us in zip(make_scans(num_frames), times, strict=True):
            yield replace(scan, segment=name, timestamp_us=timestamp_us)

    monkeypatch.setattr(writing, "simulate_segment", simulate)


def write(folder: Path, *, version: writing.Format = "v2", frames: int = 3) -> list[writing.SegmentOutcome]:
    jobs = writing.list_jobs(
        folder, num_segments=2, num_frames=frames, interval_s=0.1, seed=7, prefix="segment-sim", format=version
    )
    return [result for _, result in writing.write_segments(jobs, workers=1)]


def test_both_versions_hold_the_same_frames(tmp_path: Path) -> None:
    assert write(tmp_path, version="v1") == write(tmp_path)
    assert list_segments_v2(tmp_path) == ["sim7", "sim8"]
    for name in list_segments_v2(tmp_path):
        v1 = list(read_frames(tmp_path / f"segment-{name}.tfrecord"))
        assert len(v1) == 3
        for one, other in zip(v1, read_frames_v2(tmp_path, name), strict=True):
            assert_same(one.points, other.points)
            assert_same(one.ground_truth, other.ground_truth)
            assert (one.frame_id, one.context) == (other.frame_id, other.context)


def test_whole_segments_are_kept(tmp_path: Path) -> None:
    first = write(tmp_path)
    assert [(result.was_there, result.num_frames, result.num_objects) for result in first] == [(False, 3, 21)] * 2
    assert write(tmp_path) == [replace(result, was_there=True) for result in first]
    with pytest.raises(UserError, match=r"sim7\.parquet: holds 3 frames simulated with other settings"):
        write(tmp_path, frames=2)


@pytest.mark.parametrize("component", SCHEMAS)
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_incomplete_segments_are_written_again(tmp_path: Path, component: str, damage: str) -> None:
    write(tmp_path)
    path = tmp_path / component / "sim8.parquet"
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[:-100])
    assert [result.was_there for result in write(tmp_path)] == [True, False]
    assert path.read_bytes() == data
    assert len(list(read_scans_v2(tmp_path, "sim8"))) == 3


def test_the_command(tmp_path: Path) -> None:
    """One real simulated frame."""
    command = [sys.executable, str(ROOT / "data_tools" / "simulate_waymo.py"), str(tmp_path), "--format=v2"]
    done = subprocess.run([*command, "--segments=1", "--frames=1"], capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    (frame,) = read_frames_v2(tmp_path, "sim0")
    assert len(frame.points) > 100_000
    assert len(frame.ground_truth) > 5
    assert {path.name for path in tmp_path.iterdir()} == set(SCHEMAS)
