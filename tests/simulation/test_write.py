"""data_tools/simulate_waymo.py: the same bytes from any number of workers, resumable, errors in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.simulation.write import list_jobs, write_segments
from pcdet_poly.waymo import read_frames

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "data_tools" / "simulate_waymo.py"


def write(folder: Path, *, workers: int = 1, segments: int = 2, frames: int = 1, interval_s: float = 0.1) -> list[bool]:
    """Simulate; whether each file was there already."""
    jobs = list_jobs(
        folder, num_segments=segments, num_frames=frames, interval_s=interval_s, seed=70, prefix="segment-sim"
    )
    return [result.was_there for _, result in write_segments(jobs, workers=workers)]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=3600)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    assert write(folder) == [False, False]
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_files_read_back_as_frames(written: Path) -> None:
    assert sorted(contents(written)) == ["segment-sim70.tfrecord", "segment-sim71.tfrecord"]
    for path in sorted(written.iterdir()):
        (frame,) = read_frames(path)
        assert frame.segment == path.stem.removeprefix("segment-")
        assert len(frame.points) > 100_000
        assert len(frame.ground_truth) > 5
        assert np.isfinite(frame.points).all()
        assert frame.context["location"] == "location_simulated"


def test_two_workers_write_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write(tmp_path, workers=2)
    assert contents(tmp_path) == contents(written)


def test_whole_files_are_kept_and_damaged_ones_written_again(written: Path, tmp_path: Path) -> None:
    before = contents(written)
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "segment-sim71.tfrecord").write_bytes(before["segment-sim71.tfrecord"][:-1000])
    assert write(tmp_path) == [True, False]
    assert contents(tmp_path) == before


def test_files_of_other_settings_are_refused(written: Path) -> None:
    before = contents(written)
    with pytest.raises(UserError, match=r"segment-sim70.tfrecord: holds 1 frames simulated with other settings"):
        write(written, frames=3)
    assert contents(written) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--segments", "0"),
        ("--frames", "-1"),
        ("--interval-s", "0"),
        ("--seed", "-3"),
        ("--workers", "0"),
        ("--prefix", "a/b"),
    ],
)
def test_bad_numbers_are_one_line(option: str, value: str, tmp_path: Path) -> None:
    result = run(str(tmp_path / "out"), f"{option}={value}")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {option}")
    assert value in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    result = run(str(tmp_path / "out"), "--segments=1", "--frames=1")
    assert result.returncode == 2
    assert result.stderr == f"error: {tmp_path / 'out'}: a file; name a folder for the records\n"


def test_help_names_defaults() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "(default:segment-sim)" in "".join(result.stdout.split())  # wherever the lines are broken


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_nothing_behind(workers: str, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "--segments=2", "--frames=500", f"--workers={workers}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 240
    while not any(path.stat().st_size > 0 for path in tmp_path.glob(".*.part")):
        assert process.poll() is None, process.stderr
        assert time.monotonic() < deadline, "no file was begun"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=3600)
    assert process.returncode == 130
    assert errors.count("\n") == 1
    assert errors.startswith("interrupted")
    assert list(tmp_path.iterdir()) == []


def test_torch_stays_out() -> None:
    code = "import sys, pcdet_poly.simulation.write; print('torch' in sys.modules, 'open3d' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=3600)
    assert result.stdout.split() == ["False", "False"], result.stderr
