"""Locks on folders and files: one writer at a time, a killed one's lock is free, only leftovers are removed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.locks import LOCK, is_empty, lock_file, lock_folder, remove_part_files

_HOLD = """
import sys, time
from pathlib import Path
from pcdet_poly.files import atomic_path
from pcdet_poly.locks import lock_folder
with lock_folder(Path(sys.argv[1]), work="training"), atomic_path(Path(sys.argv[1]) / "a.pt") as part:
    part.write_text("half")
    print(flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Any:
    """Start another process that has locked `tmp_path` and writes a.pt in it."""
    process = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_owner_is_named_by_number_host_and_time(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    owner = rf"process {holder.pid} on {re.escape(socket.gethostname())} since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d"
    line = rf"^{re.escape(str(tmp_path))}: another training is writing here \({owner}\); wait for it or choose another$"
    with pytest.raises(UserError, match=line), lock_folder(tmp_path, work="training"):
        pass


def test_what_a_lock_file_says_is_printed_only_if_we_wrote_it(tmp_path: Path) -> None:
    with open(tmp_path / LOCK, "w") as lock:
        lock.write("\033[2Jerase the screen")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=r"writing here; wait for it"), lock_folder(tmp_path):
            pass


def test_a_living_writers_part_file_stays_and_a_killed_ones_goes(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    remove_part_files(tmp_path)
    assert len(list(tmp_path.glob(".a.pt.*.part"))) == 1
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock_folder(tmp_path):
        assert not list(tmp_path.glob("*.part"))
    assert is_empty(tmp_path)


def test_writing_a_file_removes_its_own_leftovers_only(tmp_path: Path) -> None:
    names = [".a.pt.0a1b2c3d.part", ".b.pt.0a1b2c3d.part", ".a.pt.mine.part", ".a.pt.notahex!.part"]
    for name in names:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "a.pt") as part:
        part.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a.pt", *names[1:]}


def test_folders_made_for_nothing_are_removed_again(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "runs" / "new"):
        assert is_empty(tmp_path / "runs" / "new")
    assert not (tmp_path / "runs").exists()
    with lock_folder(tmp_path / "runs" / "new"):
        (tmp_path / "runs" / "new" / "file").touch()
    assert [path.name for path in (tmp_path / "runs" / "new").iterdir()] == ["file"]


def test_a_file_is_locked_by_its_own_name(tmp_path: Path) -> None:
    with (
        lock_file(tmp_path / "a.arrow", work="build-bank"),
        lock_file(tmp_path / "b.arrow", work="build-bank"),
        pytest.raises(UserError, match=r"a\.arrow: another build-bank is writing it \(process"),
    ):
        lock_file(tmp_path / "a.arrow", work="build-bank").__enter__()
    assert not list(tmp_path.iterdir())


def test_a_forked_process_that_outlives_its_parent_holds_no_lock(tmp_path: Path) -> None:
    """Loaders fork workers: after kill -9 of a training they live on for seconds, and --resume need not wait."""
    program = (
        "import os, sys, time\nfrom pathlib import Path\nfrom pcdet_poly.locks import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])):\n"
        "    if not os.fork():\n        print(os.getpid(), flush=True)\n"  # only now has it closed what it inherited
        "    time.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        with lock_folder(tmp_path):
            os.kill(child, 0)  # it is alive
    finally:
        os.kill(child, signal.SIGKILL)
        process.stdout.close()


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".a.0a1b2c3d.part").touch()  # whose it is cannot be known: it stays
    with lock_folder(tmp_path), atomic_path(tmp_path / "a") as part:
        part.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".a.0a1b2c3d.part"}
