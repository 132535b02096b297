"""Jobs spread over processes, with one progress bar: for simulation and conversion."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from pcdet_poly.errors import UserError
from pcdet_poly.signals import (
    catch_stop_signals,
    find_signal,
    hold_stop_signals,
    ignore_stop_signals,
)
from pcdet_poly.signals.child_processes import block_signals_in_children, unblock_signals

Job = TypeVar("Job")
Result = TypeVar("Result")
Advance = Callable[[int], None]

_REFRESH_S = 0.2
_MOST_WINDOWS_PROCESSES = 61  # that Windows lets a program wait for at a time


def run_jobs(
    function: Callable[[Job, Advance], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    title: str,
    total: int,
    unit: Literal["frames", "bytes"] = "frames",
) -> Iterator[tuple[Job, Result]]:
    """Yield `(job, function(job, advance))` for every job, each as soon as it is done.

    With one worker the jobs run here and in order; with more they run in spawned processes. An error in a job stops all
    others and is raised here; so does Ctrl-C. Jobs that are stopped unwind their `with` blocks, so `atomic_path` leaves
    nothing behind.

    Args:
        function: what is done with a job. It lives at the top of a module, and calls `advance(n)` to move the bar.
        jobs: its first arguments; they can be pickled.
        workers: processes, at most one per job, and in Windows at most 61.
        title: text in front of the progress bar.
        total: where the bar ends.
        unit: what the bar counts.

    Raises:
        UserError: where a worker process was killed.
    """
    if sys.platform == "win32":
        workers = min(workers, _MOST_WINDOWS_PROCESSES)
    with show_progress(title, total, unit) as show:
        if min(workers, len(jobs)) <= 1:
            yield from _run_here(function, jobs, show)
        else:
            yield from _run_in_processes(function, jobs, min(workers, len(jobs)), show)


def map_in_threads(function: Callable[[Job], Result], jobs: Iterable[Job], *, threads: int) -> list[Result]:
    """Return `function(job)` of each job, in order.

    Args:
        function: what is done with a job, in a thread.
        jobs: its arguments.
        threads: how many run at a time.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        with hold_stop_signals():  # the same reason as in _run_in_processes
            futures = [pool.submit(function, job) for job in jobs]
        pending, failed = set(futures), False
        while pending and not failed:
            with hold_stop_signals():
                done, pending = wait(pending, timeout=_REFRESH_S, return_when=FIRST_EXCEPTION)
                failed = any(future.exception() for future in done)
        with hold_stop_signals():
            return [future.result() for future in futures if future.done()]
    finally:
        with hold_stop_signals():
            pool.shutdown(cancel_futures=True)


def _run_here(
    function: Callable[[Job, Advance], Result], jobs: Sequence[Job], show: Advance
) -> Iterator[tuple[Job, Result]]:
    done = 0

    def advance(amount: int) -> None:
        nonlocal done
        done += amount
        show(done)

    for job in jobs:
        yield job, function(job, advance)


def _run_in_processes(
    function: Callable[[Job, Advance], Result], jobs: Sequence[Job], workers: int, show: Advance
) -> Iterator[tuple[Job, Result]]:
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(counter,))
    try:
        with hold_stop_signals(), block_signals_in_children(context.get_start_method()):
            pending: dict[Future[Result], Job] = {pool.submit(_run_job, function, job): job for job in jobs}
        while pending:
            with hold_stop_signals():  # an interruption leaves no lock of the pool's behind: its threads would wait
                finished, _ = wait(pending, timeout=_REFRESH_S, return_when=FIRST_COMPLETED)
                results = [(pending.pop(future), future.result()) for future in finished]
            show(counter.get_obj().value)  # without its lock, which a killed worker may hold
            yield from results
        with hold_stop_signals():
            pool.shutdown()
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker process was killed (out of memory?) with {workers} workers; "
            "run the same command again with fewer workers: it goes on where it stopped"
        ) from error
    finally:
        with hold_stop_signals():
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # see _start_worker
                process.join()


_counter: Any = None  # this worker process's view of the shared progress count


def _start_worker(counter: Any) -> None:
    """Leave the terminal's signals to the parent, end on SIGTERM, and do not outlive the parent."""
    global _counter
    _counter = counter
    ignore_stop_signals()
    signal.signal(signal.SIGTERM, _leave)  # between two jobs; inside one see _run_job
    unblock_signals()
    threading.Thread(target=_follow_parent, daemon=True).start()


def _leave(signum: int, frame: Any) -> None:
    os._exit(128 + signum)


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _run_job(function: Callable[[Job, Advance], Result], job: Job) -> Result:
    with catch_stop_signals():
        try:
            return function(job, _advance_shared)
        except KeyboardInterrupt as stop:
            os._exit(128 + find_signal(stop))  # unwound; the pool would take the exception for a result and go on


def _advance_shared(amount: int) -> None:
    with _counter.get_lock():
        _counter.value += amount


@contextmanager
def show_progress(title: str, total: int, unit: Literal["frames", "bytes"]) -> Iterator[Advance]:
    """Show a bar on stderr with rate and time left; silent where stderr is not a terminal.

    Args:
        title: text in front of the bar.
        total: where the bar ends.
        unit: what the bar counts.

    Yields:
        What sets the amount done so far.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
