"""Jobs over processes: all results, one error, Ctrl-C, a killed worker, a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.files import atomic_path
from pcdet_poly.workers import Advance, run_jobs

ROOT = Path(__file__).resolve().parent.parent


def square(job: int, advance: Advance) -> int:
    advance(1)
    return job * job


def fail_on_two(job: int, advance: Advance) -> int:
    if job == 2:
        raise UserError("job 2: cannot be squared; choose another")
    return job


def die_on_two(job: int, advance: Advance) -> int:
    if job == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def write_slowly(job: str, advance: Advance) -> None:
    with atomic_path(job) as part:
        part.write_text("half")
        Path(job + ".started").touch()
        time.sleep(60)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_gives_its_result(workers: int) -> None:
    done = dict(run_jobs(square, range(7), workers=workers, title="squares", total=7))
    assert done == {n: n * n for n in range(7)}


def test_no_jobs() -> None:
    assert list(run_jobs(square, [], workers=2, title="none", total=0)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_keeps_its_type_and_line(workers: int) -> None:
    with pytest.raises(UserError, match=r"^job 2: cannot be squared; choose another$"):
        list(run_jobs(fail_on_two, [1, 2, 3, 4], workers=workers, title="errors", total=4))


def test_a_killed_worker_is_one_line() -> None:
    with pytest.raises(UserError, match="a worker process was killed"):
        list(run_jobs(die_on_two, [1, 2, 3, 4], workers=2, title="kill", total=4))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_stopping_the_parent_stops_the_workers(tmp_path: Path, workers: int, kill: signal.Signals) -> None:
    jobs = [str(tmp_path / "a"), str(tmp_path / "b")]
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pcdet_poly.errors import run_command\nfrom pcdet_poly.workers import run_jobs\n"
        "from tests.test_workers import write_slowly\n"
        "def main():\n"
        f"    list(run_jobs(write_slowly, sys.argv[1:], workers={workers}, title='slow', total=2))\n"
        "if __name__ == '__main__':\n    sys.exit(run_command(main))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = subprocess.Popen([sys.executable, script, *jobs], env=environment, stderr=subprocess.PIPE, text=True)
    _wait_for(lambda: len(list(tmp_path.glob("*.started"))) == workers)
    command.send_signal(kill)
    _, stderr = command.communicate(timeout=3600)  # stderr closes once no worker holds it
    if kill == signal.SIGINT:
        assert command.returncode == 130
        assert len(stderr.splitlines()) == 1
    if kill == signal.SIGINT or workers == 2:
        _wait_for(lambda: not list(tmp_path.glob("*.part")))
    assert not (tmp_path / "a").exists()


def _wait_for(happened: object, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.05)
