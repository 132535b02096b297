"""What goes wrong in a conversion: kill -9, full disks, damage, permissions, another conversion.

No wrong data is ever read as right, nothing half-written stays, and a rerun completes.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.data.convert.from_waymo import convert_waymo
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError, run_command
from pcdet_poly.locks import LOCK, lock_folder
from pcdet_poly.waymo import read_frames
from tests.data.frames import assert_same_frame
from tests.data.records import ROOT, bytes_of, tool, write_segment_records

NUM_SEGMENTS = 4


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for i in range(NUM_SEGMENTS):
        write_segment_records(folder, f"s{i}", 4, rows=32, columns=300)
    return folder


@pytest.fixture(scope="module")
def expected(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed conversion writes."""
    folder = tmp_path_factory.mktemp("expected")
    convert_waymo([str(records)], folder)
    return bytes_of(folder)


def python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment)


def test_killed_twenty_times_at_any_moment(records: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_conversion.py")
    done = python(script, records, tmp_path / "store", "20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20 ")
    convert_waymo([str(records)], tmp_path / "store")
    assert bytes_of(tmp_path / "store") == expected


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path, expected: dict[str, bytes]) -> Iterator[Path]:
    """A file system that holds two segments and a half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={int(2.5 * len(expected['s0.zip']))}", "tmpfs", folder],
        capture_output=True,
    ).returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(
    records: Path,
    expected: dict[str, bytes],
    small_disk: Path,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage(small_disk)._replace(free=1 << 40)  # as if another program filled it meanwhile
    monkeypatch.setattr("pcdet_poly.data.convert.build_store.shutil.disk_usage", lambda path: usage)
    store = small_disk / "store"
    assert run_command(lambda: convert_waymo([str(records)], store, workers=workers) and 0) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {store}/")
    assert "No space left on device; free some disk space and run the same command again" in line
    assert not list(store.glob(".*"))
    for frame in Store(store):
        assert len(frame.points)
    assert 0 < len(Store(store)) < 4 * NUM_SEGMENTS
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    assert convert_waymo([str(records)], store).num_kept > 0
    assert bytes_of(store) == expected


# Damaged records


def test_no_damaged_record_is_read_as_a_right_one(records: Path, tmp_path: Path) -> None:
    """Flipped bits and cuts anywhere: the frames that are left are whole, the others are named."""
    whole = {frame.timestamp_us: frame for frame in read_frames(records / "s0.tfrecord")}
    data = (records / "s0.tfrecord").read_bytes()
    rng = random.Random(0)
    for number in range(20):
        damaged = bytearray(data)
        position = rng.randrange(len(data))
        if number % 2:
            del damaged[position:]
        else:
            damaged[position] ^= 1 << rng.randrange(8)
        path = tmp_path / f"{number}.tfrecord"
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"^{path}"):
            convert_waymo([str(path)], tmp_path / f"stop{number}", precision="exact")
        assert not (tmp_path / f"stop{number}").exists()
        summary = convert_waymo([str(path)], tmp_path / f"skip{number}", precision="exact", on_error="skip")
        frames = list(Store(tmp_path / f"skip{number}"))
        assert len(frames) < len(whole)
        assert summary.failed or summary.converted[0].skipped
        for frame in frames:
            assert_same_frame(frame, whole[frame.timestamp_us])


# Permissions

_AS_NOBODY = """
import os, sys
from pcdet_poly.data.convert.from_waymo import convert_waymo
from pcdet_poly.errors import run_command
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)  # root is denied nothing
sys.exit(run_command(lambda: convert_waymo(sys.argv[1:2], sys.argv[2]) and 0))
"""


@pytest.mark.parametrize("denied", ["input", "output"])
def test_permission_denied(records: Path, denied: str) -> None:
    folder = Path("/tmp") / f"pcdet_poly_test_{os.getpid()}"  # pytest's own is closed to others
    folder.mkdir(mode=0o755)
    try:
        shutil.copy(records / "s0.tfrecord", folder)
        (folder / "s0.tfrecord").chmod(0o000 if denied == "input" else 0o644)
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777 if denied == "input" else 0o555)
        done = python("-c", _AS_NOBODY, folder, folder / "out" / "store")
        place = folder / ("s0.tfrecord" if denied == "input" else "out/store")
        assert done.stderr == f"error: {place}: Permission denied; check the permissions\n"
        assert done.returncode == 2
        assert not list((folder / "out").iterdir())
    finally:
        shutil.rmtree(folder)


# Two at once


def test_two_conversions_started_at_once(records: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    command = tool("preprocess_waymo", records, "--output", tmp_path)
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=3600)
        if process.returncode:  # the other was still at work
            owner = r"\(process \d+ on \S+ since [\d: -]+\)"
            line = f"another conversion is writing here {owner}; wait for it or choose another"
            assert re.fullmatch(f"error: {re.escape(str(tmp_path))}: {line}\n", stderr)
    assert {process.returncode for process in both} in ({0}, {0, 2})
    assert bytes_of(tmp_path) == expected


def test_a_lock_left_by_a_killed_conversion_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with lock_folder(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner ends between our opening and our locking: what we lock then has no name, and guards nothing."""
    flock, calls = fcntl.flock, []

    def flock_too_late(file: Any, operation: int) -> None:
        if not calls:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
        calls.append(operation)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_too_late)
    with lock_folder(tmp_path):
        assert len(calls) == 2
        monkeypatch.undo()
        with pytest.raises(UserError, match="another conversion is writing here"), lock_folder(tmp_path):
            pass
