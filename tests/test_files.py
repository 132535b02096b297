"""Files are written whole or not at all; errors become exit codes."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from pcdet_poly import files
from pcdet_poly.errors import UserError, run_command
from pcdet_poly.files import atomic_path, read_checked_json, write_checked_json, write_json


def test_a_new_file_appears_whole_and_readable_by_others(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"x": [1, 2]})
    assert json.loads((tmp_path / "deep" / "a.json").read_text()) == {"x": [1, 2]}
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "deep" / "a.json").stat().st_mode) == 0o666 & ~mask


def write_half(path: Path, error: type[BaseException]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    """/dev/null would be gone otherwise, for all programs, where root writes into it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(pipe, {"x": 1})
    assert json.loads(os.read(reading, 1000)) == {"x": 1}
    os.close(reading)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]
    assert [files.is_device(Path(f"/dev/{name}")) for name in ("null", "stdout", "not-there")] == [True] * 3
    assert not files.is_device(tmp_path)


def test_a_link_gives_way_to_the_file_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    """Whoever can put a link into a folder of ours cannot have us write elsewhere."""
    (tmp_path / "theirs.json").write_text("theirs")
    (tmp_path / "ours.json").symlink_to(tmp_path / "theirs.json")
    write_json(tmp_path / "ours.json", {"x": 1})
    assert json.loads((tmp_path / "ours.json").read_text()) == {"x": 1}
    assert (tmp_path / "theirs.json").read_text() == "theirs"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_old_file_stands_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("a.yaml:3: no"), 2, "error: a.yaml:3: no"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "x.zip"), 2, "error: x.zip: No space left on device; free"),
        (OSError(errno.EMFILE, "Too many open files", "x.zip"), 2, "error: x.zip: Too many open files; too few files"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 2, "error: x: File name too long; choose a shorter"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "y"), 2, "error: y: No such file or directory"),
    ],
)
def test_mistakes_and_interruptions_end_in_one_line(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(lambda: raising(error)) == code
    printed = capsys.readouterr().err
    assert printed.startswith(says)
    assert printed.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 // 0)


def test_what_main_returns_is_the_exit_code() -> None:
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 3) == 3


@pytest.mark.parametrize("value", [{"a": 0.1, "b": [float("nan"), "ü"]}, {"3D": {"x": 1}, "meta": {"step": 4}}, {}])
def test_json_with_a_checksum_comes_back_without_it(tmp_path: Path, value: dict) -> None:
    write_checked_json(tmp_path / "a.json", value)
    assert "crc32" in (tmp_path / "a.json").read_text()
    assert repr(read_checked_json(tmp_path / "a.json")) == repr(value)  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"step": 5, "crc32": 1}', "damaged or changed: its checksum is wrong"),
        ('{"meta": {"step": 5, "crc32": "1"}}', "damaged or changed: its checksum is wrong"),
        ('{"step": 5', "not JSON, or cut off"),
        ("[" * 100_000, "not JSON, or cut off"),
        ("[5]", "not a mapping in JSON"),
    ],
)
def test_json_that_is_not_what_was_written_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=says) as error:
        read_checked_json(tmp_path / "a.json")
    assert str(error.value).startswith(f"{tmp_path / 'a.json'}: ")


def test_json_of_before_there_were_checksums_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"status": "done"})
    assert read_checked_json(tmp_path / "a.json") == {"status": "done"}
