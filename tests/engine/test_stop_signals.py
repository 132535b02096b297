"""Trainings by two processes are stopped in every way, all at once so that the machine is busy: each saves once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from process_groups import ROOT, start_group
from two_processes import config_of

from pcdet_poly.config.load import dump_config
from pcdet_poly.engine.checkpoint import load_checkpoint
from tests.sockets import is_loopback, list_open_addresses
from tests.warm_python import WarmProcess, WarmPython

INT, TERM = signal.SIGINT, signal.SIGTERM
SAVED = ": saved; go on with: torchrun --nproc-per-node 2 "
# What is sent after the first step, in order: number of the process, signal.
SIGNALS_BY_CASE = {
    "SIGINT twice": [(0, INT), (1, INT), (0, INT), (1, INT)],
    "SIGTERM then SIGINT": [(0, TERM), (1, TERM), (1, INT), (0, INT)],
    "SIGINT to the second only": [(1, INT)],
    "SIGTERM to the first only": [(0, TERM)],
}


def write_command(folder: Path, store: Path, *overrides: str) -> list[str]:
    """Make `folder` and return the words after `python` that start a training in it, one that does not end soon."""
    folder.mkdir()
    (folder / "tiny.yaml").write_text(dump_config(config_of(store, batch_size=1, epochs=20000, save_every=20000)))
    return [str(ROOT / "train.py"), "tiny.yaml", *overrides, "--device", "cpu"]


def wait_for_first_step(folder: Path, process: WarmProcess | subprocess.Popen[str]) -> None:
    log = folder / "runs/tiny/log.jsonl"
    while not (log.exists() and log.stat().st_size):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def check_saved_once(folder: Path, errors: str) -> None:
    assert errors.count(SAVED) == 1, errors
    (checkpoint,) = (folder / "runs/tiny/checkpoints").iterdir()
    assert load_checkpoint(checkpoint).step >= 1


@pytest.mark.slow
def test_whatever_signals_arrive_all_processes_save_once_and_end_with_one_exit_code(
    store: Path, tmp_path: Path, warm_training: WarmPython
) -> None:
    with ExitStack() as stack:
        groups = {}
        for case in SIGNALS_BY_CASE:
            command = write_command(tmp_path / case, store)
            groups[case] = stack.enter_context(start_group(warm_training, command, tmp_path / case))
        for case, processes in groups.items():
            wait_for_first_step(tmp_path / case, processes[0])
            found = [address for process in processes for address in list_open_addresses(process.pid)]
            assert found
            assert [address for address in found if not is_loopback(address)] == []
            for number, signum in SIGNALS_BY_CASE[case]:
                processes[number].send_signal(signum)
        for case, processes in groups.items():
            first, second = (process.communicate()[1] for process in processes)
            codes = {process.returncode for process in processes}
            sent = {signum for _, signum in SIGNALS_BY_CASE[case]}  # where two are waiting, the system picks the first
            assert len(codes) == 1, (case, first, second)
            assert codes <= {128 + signum for signum in sent}, (case, first, second)
            assert second == "", case
            check_saved_once(tmp_path / case, first)


@pytest.mark.slow
def test_signals_without_end_change_nothing(store: Path, tmp_path: Path, warm_training: WarmPython) -> None:
    """Some signal arrives at every moment from the first step to the end of the process."""
    folder = tmp_path / "storm"
    with start_group(warm_training, write_command(folder, store), folder) as processes:
        wait_for_first_step(folder, processes[0])
        number = 0
        while any(process.poll() is None for process in processes):
            processes[number % 2].send_signal((INT, TERM)[number // 2 % 2])
            number += 1
            time.sleep(0.001)
        first, second = (process.communicate()[1] for process in processes)
        assert [process.returncode for process in processes] in ([130, 130], [143, 143]), (first, second)
    assert second == ""
    check_saved_once(folder, first)


@pytest.mark.slow
def test_torchrun_that_is_stopped_saves_once(store: Path, tmp_path: Path) -> None:
    """Torchrun sends a signal of its own to every process, those that read frames among them."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    cases = {"SIGINT": [INT], "SIGTERM": [TERM], "SIGINT twice": [INT, INT]}
    started = {
        case: subprocess.Popen(
            [*torchrun, *write_command(tmp_path / case, store, "data.workers=1")],
            cwd=tmp_path / case,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for case in cases
    }
    for case, process in started.items():
        wait_for_first_step(tmp_path / case, process)
        for signum in cases[case]:
            os.killpg(process.pid, signum)
    for case, process in started.items():
        errors = process.communicate()[1]  # ends when the training processes have ended, too
        check_saved_once(tmp_path / case, errors)
        assert "Connection" not in errors, errors
