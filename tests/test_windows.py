"""The branches for Windows, run here: its names are patched in, and open files are treated as it does."""

from __future__ import annotations

import ast
import errno
import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import pcdet_poly
from pcdet_poly import errors, paths, workers
from pcdet_poly.config.find import find_config
from pcdet_poly.config.load import load_config
from pcdet_poly.errors import run_command
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.local_executor import LocalExecutor
from pcdet_poly.signals import Stopped, catch_stop_signals, child_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for open files")
_locked: dict[int, int] = {}  # inodes, and the descriptors that have locked them


def list_open(path: Any) -> list[int]:
    """List this process's descriptors of a file."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return []
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.path.samestat(os.fstat(int(name)), status):
                found.append(int(name))
        except OSError:
            continue  # that of the listing itself
    return found


def lock_byte(descriptor: int, mode: int, count: int) -> None:
    """Lock as msvcrt.locking does: one descriptor has the lock as long as it is open, another is refused."""
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > 1 << 20, "what is locked cannot be read: far behind the owner's name"
    inode = os.fstat(descriptor).st_ino
    owner = _locked.get(inode, descriptor)
    if owner != descriptor and owner in list_open(f"/proc/self/fd/{descriptor}"):
        raise OSError(errno.EACCES, "Permission denied")
    _locked[inode] = descriptor


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """`files` and `locks` as Windows would import them, where open files can be neither removed nor renamed."""
    real_unlink, real_replace = os.unlink, os.replace

    def refuse_open(*names: Any) -> None:
        if any(list_open(name) for name in names):
            raise PermissionError(errno.EACCES, "in use by a process", str(names[0]))

    def unlink(path: Any, **options: Any) -> None:
        refuse_open(path)
        real_unlink(path, **options)

    def replace(source: Any, target: Any) -> None:
        refuse_open(source, target)
        real_replace(source, target)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=lock_byte))
    monkeypatch.setitem(sys.modules, "fcntl", None)  # not to be imported
    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(os, "replace", replace)
    modules: dict[str, ModuleType] = {}
    for name in ("locks", "files"):
        monkeypatch.setattr(pcdet_poly, name, getattr(pcdet_poly, name))
        monkeypatch.delitem(sys.modules, f"pcdet_poly.{name}")
        modules[name] = importlib.import_module(f"pcdet_poly.{name}")
    monkeypatch.setattr(modules["files"], "_PATIENCE_S", 0.2)
    yield SimpleNamespace(**modules)
    _locked.clear()


def list_names(folder: Path) -> list[str]:
    """List the names in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_and_replaced(windows: Any, tmp_path: Path) -> None:
    for value in ({}, [1]):
        windows.files.write_json(tmp_path / "a.json", value)
    assert (tmp_path / "a.json").read_text() == "[\n  1\n]\n"
    assert list_names(tmp_path) == ["a.json"]


def test_a_failed_write_leaves_its_own_error_and_the_old_file(windows: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with windows.files.atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list_names(tmp_path) == ["a"]


def test_a_file_that_somebody_reads_is_waited_for_then_named(
    windows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_text("old")
    with open(tmp_path / "a.json") as reader, pytest.raises(PermissionError, match="in use"):
        windows.files.write_json(tmp_path / "a.json", 1)
    assert list_names(tmp_path) == ["a.json"]
    with open(tmp_path / "a.json") as reader:
        monkeypatch.setattr(windows.files.time, "sleep", lambda seconds: reader.close())
        windows.files.write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_what_is_written_is_no_leftover_and_what_was_left_is(windows: Any, tmp_path: Path) -> None:
    with windows.files.atomic_path(tmp_path / "a"):
        (tmp_path / ".a.01234567.part").write_text("of a killed process")
        windows.locks.remove_part_files(tmp_path)
        assert len(list_names(tmp_path)) == 1
    assert list_names(tmp_path) == ["a"]


def test_a_locked_folder_refuses_another_and_is_free_afterwards(windows: Any, tmp_path: Path) -> None:
    for _ in range(2):
        with windows.locks.lock_folder(tmp_path / "store"):
            busy = rf"another conversion is writing here \(process {os.getpid()} on .*\); wait for it"
            with pytest.raises(errors.UserError, match=busy), windows.locks.lock_folder(tmp_path / "store"):
                pass
            (tmp_path / "store" / "a").write_text("kept")
        assert list_names(tmp_path / "store") == ["a"]


def test_a_lock_that_another_looks_at_stays_behind_without_an_error(windows: Any, tmp_path: Path) -> None:
    with windows.locks.lock_file(tmp_path / "a", work="test"):
        reader = open(tmp_path / ".a.lock")  # noqa: SIM115
    assert list_names(tmp_path) == [".a.lock"]
    reader.close()
    with windows.locks.lock_file(tmp_path / "a", work="test"):
        pass
    assert list_names(tmp_path) == []


def test_ctrl_break_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    with pytest.raises(Stopped), catch_stop_signals():
        signal.raise_signal(signal.SIGUSR1)
    assert run_command(lambda: signal.raise_signal(signal.SIGUSR1)) == 128 + signal.SIGUSR1


class _Child:
    """What a started program is told."""

    def __init__(self, *, has_console: bool) -> None:
        self.has_console = has_console
        self.told: list[Any] = []

    def send_signal(self, signum: int) -> None:
        self.told.append(signum)
        if signum != 1 or not self.has_console:  # as Popen.send_signal does there
            raise OSError(6, "The handle is invalid") if signum == 1 else ValueError(f"Unsupported signal: {signum}")

    def terminate(self) -> None:
        self.told.append("end")


@pytest.mark.parametrize(("has_console", "told"), [(True, [1]), (False, [1, "end"])])
def test_programs_are_started_apart_and_stopped_by_ctrl_break(
    monkeypatch: pytest.MonkeyPatch, has_console: bool, told: list[Any]
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: started.append((command, options)))
    child_programs.start_apart(["a"], cwd="b")
    assert started == [(["a"], {"creationflags": 512, "cwd": "b"})]
    child: Any = _Child(has_console=has_console)
    child_programs.ask_to_stop(child)
    child_programs.pass_signal_on(child, signal.SIGINT)  # the console has told it
    assert child.told == told


def test_several_gpus_of_a_trial_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(errors.UserError, match=r"^gpus: several of a trial need NCCL"):
        LocalExecutor(SweepFolder(tmp_path), workers=1, threads=1, gpus=2)


def test_a_lost_reader_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced: list[int] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(errors, "_keep_silent", lambda: silenced.append(1) or 0)

    def write() -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    assert run_command(write) == 0
    assert silenced == [1]


def test_no_more_processes_than_windows_can_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(workers, "_run_in_processes", lambda function, jobs, count, show: counts.append(count) or [])
    list(workers.run_jobs(lambda job, advance: job, range(100), workers=90, title="", total=100))
    assert counts == [61]


def test_a_url_of_a_file_may_name_a_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert str(paths.parse_path("file:///C:/data")) == "C:/data"
    assert str(paths.parse_path("file:///srv/data")) == "/srv/data"


@pytest.mark.parametrize("name", [r"C:\data", "C:/data", "C://data", r"\\server\share"])
def test_a_drive_is_no_url(name: str) -> None:
    assert isinstance(paths.parse_path(name), Path)


@pytest.mark.parametrize(
    ("written", "stores"),
    [
        (r"C:\x,D:\new", (r"C:\x", r"D:\new")),
        (r"[C:\x, D:\new]", (r"C:\x", r"D:\new")),
        (r"['C:\x', 'D:\new']", (r"C:\x", r"D:\new")),
        ("C:\\x\\", ("C:\\x\\",)),
        (r"\\server\share\a", (r"\\server\share\a",)),
        ("file:///C:/x,C:/y", ("file:///C:/x", "C:/y")),
    ],
)
def test_lists_of_folders_with_drives(written: str, stores: tuple[str, ...], tmp_path: Path) -> None:
    assert load_config(find_config("quick"), [f"data.train={written}"]).data.train == stores
    (tmp_path / "a.yaml").write_text(f"data:\n  train: {written}\n")
    assert load_config(tmp_path / "a.yaml").data.train == stores


def test_backslashes_in_double_quotes_are_explained(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('paste:\n  bank: "D:\\objects.arrow"\n')
    with pytest.raises(
        errors.UserError, match=r"a\.yaml:2: .*'o'; inside double quotes \\ .* write single quotes, or /"
    ):
        load_config(tmp_path / "a.yaml")
    with pytest.raises(errors.UserError, match=r"the value is not YAML; inside double quotes .* write single quotes"):
        load_config(find_config("quick"), [r'data.train=["D:\objects"]'])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_configs_may_be_what_windows_editors_and_shells_write(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("train:\r\n  epochs: 7  # größer\r\n".encode(encoding))
    assert load_config(tmp_path / "a.yaml").train.epochs == 7


_TEXT_CALLS = {"read_text", "write_text"}
_PACKAGE = Path(pcdet_poly.__file__).parent


def test_text_files_are_utf_8_whatever_the_system_prefers() -> None:
    for path in _PACKAGE.rglob("*.py"):
        source = path.read_text("utf-8")
        for call in ast.walk(ast.parse(source)) if re.search(r"\.(read|write)_text\(|\bopen\(", source) else ():
            if isinstance(call, ast.Call) and is_of_text(call):
                assert any(word in ast.unparse(call) for word in ("'utf-8'", "'ascii'")), f"{path}:{call.lineno}"


def is_of_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a text file: `read_text`, `write_text`, or `open` with a mode of text."""
    modes = re.findall("'([rwax]b?[+]?)'", ast.unparse(call))
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and not any("b" in mode for mode in modes)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    is_opened = name == "open" and (any("b" not in mode for mode in modes) or "newline" in ast.unparse(call))
    return name in _TEXT_CALLS or (is_opened and "tarfile" not in ast.unparse(call.func))
