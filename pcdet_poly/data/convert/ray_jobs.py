"""Runs jobs on the machines of a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pcdet_poly.errors import UserError
from pcdet_poly.optional_libraries import import_ray
from pcdet_poly.signals import take_signals_back
from pcdet_poly.workers import Advance, show_progress

Job = TypeVar("Job")
Result = TypeVar("Result")

RETRIES = 3  # a job is run again if its worker or machine is lost; an error in the job itself stops everything
_ROOT = Path(__file__).resolve().parents[3]  # workers of a running cluster do not search this folder by themselves
_REFRESH_S = 0.2
_UNWIND_S = 10
_CONNECT_S = 5
_STARTS = 3
_STORE_BYTES = 80_000_000  # the smallest object store that Ray accepts: results are a few kB


def run_ray_jobs(
    function: Callable[[Job, Advance], Result],
    jobs: Sequence[Job],
    *,
    size: Callable[[Job], int],
    workers: int,
    address: str | None,
    title: str,
    unit: Literal["frames", "bytes"] = "frames",
) -> Iterator[tuple[Job, Result]]:
    """Run jobs like `workers.run_jobs`, but as tasks of a Ray cluster.

    A job is a task on one CPU, and is run again if its worker is lost. All machines need this package, and
    the files under the same names.

    Args:
        function: runs one job; lives at the top of a module. Its second argument does nothing here.
        jobs: what to call `function` with; can be pickled.
        size: the length of a job on the progress bar, which moves when a whole job is done.
        workers: CPUs of the cluster, if it is started here.
        address: of a running cluster, `auto`, or None to start one on this machine.
        title: text in front of the progress bar.
        unit: what the progress bar counts.

    Yields:
        Each job with its result, as soon as it is done.

    Raises:
        UserError: if Ray is missing, the cluster cannot be reached, or workers are lost too often.
    """
    ray = import_ray()
    total = sum(map(size, jobs))
    with connect_to_cluster(ray, workers, address), show_progress(title, total, unit) as show:
        task = ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(_run_job)
        pending = {task.remote(function, job, os.getcwd()): job for job in jobs}
        done = 0
        try:
            while pending:
                finished, _ = ray.wait(list(pending), timeout=_REFRESH_S)
                for reference in finished:
                    job, result = pending.pop(reference), _get_result(ray, reference)
                    done += size(job)
                    show(done)
                    yield job, result
        finally:
            _cancel_tasks(ray, list(pending))


def _run_job(function: Callable[[Job, Advance], Result], job: Job, folder: str) -> Result:
    with contextlib.suppress(OSError):  # another machine may lack that folder, and then needs absolute names
        os.chdir(folder)
    return function(job, lambda amount: None)


def _get_result(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"a Ray worker was lost {RETRIES + 1} times ({reason}); look at the machines' memory, "
            "then run the same command again: it goes on where it stopped"
        ) from error


def _cancel_tasks(ray: Any, pending: Sequence[Any]) -> None:
    """Cancel running tasks and wait until they have unwound, so that they leave nothing half-written."""
    for reference in pending:
        ray.cancel(reference, force=False)
    if pending:
        ray.wait(list(pending), num_returns=len(pending), timeout=_UNWIND_S)


def _give_token_without_home() -> None:
    """Let a cluster of our own have a token by the environment where Ray cannot keep one in the home folder."""
    if {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        return
    try:
        folder = Path("~/.ray").expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        can_keep = (folder / "auth_token").exists() or os.access(folder, os.W_OK)
    except (OSError, RuntimeError):  # the second where nobody knows of a home
        can_keep = False
    if not can_keep:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextmanager
def connect_to_cluster(ray: Any, workers: int, address: str | None) -> Iterator[None]:
    """Connect to a Ray cluster for the length of a block; an existing connection is used and left open.

    A cluster that is started here listens on this machine's loopback address alone: whoever reaches Ray's ports may
    run programs.

    Args:
        ray: the module.
        workers: CPUs of the cluster, if it is started here.
        address: of a running cluster, `auto`, or None to start one on this machine.

    Raises:
        UserError: if the cluster cannot be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    here = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    options: dict[str, Any] = {"address": address, "runtime_env": {"env_vars": {"PYTHONPATH": here}}}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        _give_token_without_home()
        options = {
            "address": "local",  # without it, Ray would join whatever cluster was last started on this machine
            "num_cpus": workers,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
    _check_reachable(address)
    with _keep_to_loopback(ray) if address is None else contextlib.nullcontext():
        _start_ray(ray, options, address)
        try:
            take_signals_back()  # Ray would end this process at SIGTERM
            yield
        finally:
            ray.shutdown()


def _start_ray(ray: Any, options: dict[str, Any], address: str | None) -> None:
    """Start a cluster here, or join one. Raises UserError where that fails.

    Ray gives its own processes 30 seconds to start, too little on a machine whose cores are all busy: we try again.
    """
    for attempt in range(_STARTS):
        try:
            ray.init(logging_level=logging.ERROR, configure_logging=True, **options)
            return
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"Ray: no cluster at {address or 'this machine'}: {reason}; start one with: ray start"
            ) from error
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise UserError(
                    f"Ray: did not start in {_STARTS} attempts of 30 s, this machine is too busy; wait, or leave out "
                    "--executor ray"
                ) from error


@contextmanager
def _keep_to_loopback(ray: Any) -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this machine's address, as it does by itself on macOS and Windows.

    Otherwise it replaces a loopback address by an outer one, and then listens on all interfaces.
    """
    name, constants = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", ray._private.ray_constants
    environment, value = os.environ.get(name), constants.ENABLE_RAY_CLUSTER
    os.environ[name], constants.ENABLE_RAY_CLUSTER = "0", False  # for processes to come, and for this one
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = value
        if environment is None:
            del os.environ[name]
        else:
            os.environ[name] = environment


def _check_reachable(address: str | None) -> None:
    """Raise `UserError` at once if nothing answers at `address`: Ray itself keeps trying for ten minutes."""
    host, _, port = (address or "").rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto`, or another form of address that Ray knows
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        raise UserError(f"Ray: no cluster at {address}: {error}; start one with: ray start --head") from error
