"""Conversion on a Ray cluster of two workers on this machine."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pcdet_poly.data.convert import ray_jobs
from pcdet_poly.data.convert.build_store import build_store
from pcdet_poly.data.convert.from_waymo import convert_waymo, find_waymo_sources
from pcdet_poly.data.convert.ray_jobs import run_ray_jobs
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.data.store.source_fingerprint import describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.workers import Advance
from tests.data.convert.jobs import die, fail_on_two, read_and_die, square
from tests.data.records import bytes_of, write_segment_records
from tests.sockets import is_loopback, list_open_addresses

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests: starting takes seconds."""
    with ray_jobs.connect_to_cluster(ray, 2, None):
        yield


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    for i in range(4):
        write_segment_records(folder, f"s{i}", 3)
    return folder


def on_ray(function: Callable[[int, Advance], int], jobs: range) -> list[tuple[int, int]]:
    return list(run_ray_jobs(function, jobs, size=int, workers=2, address=None, title="numbers"))


def test_every_job_gives_its_result(cluster: None) -> None:
    assert dict(on_ray(square, range(7))) == {n: n * n for n in range(7)}


def test_a_cluster_that_is_started_here_listens_on_loopback_alone(cluster: None) -> None:
    """Its workers and its store are up: the jobs have run. At least the head, the node and a worker listen."""
    assert on_ray(square, range(2))
    found = list_open_addresses(os.getpid())
    assert len(found) >= 3
    assert [address for address in found if not is_loopback(address)] == []


def test_an_error_keeps_its_type_and_line(cluster: None) -> None:
    with pytest.raises(UserError, match=r"^job 2: cannot be squared; choose another$"):
        on_ray(fail_on_two, range(5))


def test_a_store_is_byte_identical_though_a_worker_was_killed(cluster: None, records: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        convert_waymo([str(records)], tmp_path / str(workers), workers=workers)
    marker = tmp_path / "killed"
    summary = build_store(
        tmp_path / "ray",
        [describe_source(path) for path in find_waymo_sources([str(records)])],
        partial(read_and_die, marker=marker),
        settings={"returns": "1 2"},
        precision="compact",
        executor="ray",
    )
    assert marker.exists()
    assert len(summary.converted) == 4
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")
    assert len(Store(tmp_path / "ray")) == 12


def test_an_unreadable_segment_stops_and_a_second_run_goes_on(cluster: None, records: Path, tmp_path: Path) -> None:
    source = tmp_path / "records"
    for i in range(3):
        write_segment_records(source, f"s{i}", 3)
    whole = (source / "s2.tfrecord").read_bytes()
    (source / "s2.tfrecord").write_bytes(whole[:-20])
    with pytest.raises(UserError, match=r"s2\.tfrecord: record 2 at byte \d+: the file is cut off"):
        convert_waymo([str(source)], tmp_path / "store", executor="ray")
    assert not list((tmp_path / "store").glob(".*"))
    (source / "s2.tfrecord").write_bytes(whole)
    convert_waymo([str(source)], tmp_path / "store", executor="ray")
    convert_waymo([str(source)], tmp_path / "expected")
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "expected")


def test_a_job_that_always_kills_its_worker_is_one_line(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "RETRIES", 0)
    with pytest.raises(UserError, match="a Ray worker was lost 1 times"):
        on_ray(die, range(1))


def test_an_address_where_nobody_is_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError, match=f"^Ray: no cluster at {address}: .*refused; start one with: ray start"):
            list(run_ray_jobs(square, [1], size=int, workers=2, address=address, title="numbers"))


def test_a_missing_ray_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^--executor ray: Ray is not installed; run: pip install 'ray==2\.60\.0'$"):
        on_ray(square, range(2))


@pytest.mark.parametrize("kept", [True, False])
def test_a_cluster_has_a_token_where_the_home_folder_cannot_keep_one(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that what the test adds goes with it
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path if kept else tmp_path / "file" / "home"))
    ray_jobs._give_token_without_home()
    assert ("RAY_AUTH_TOKEN" in os.environ) is not kept


class SlowRay:
    """Ray on a machine so busy that its first starts take longer than it allows itself."""

    def __init__(self, slow_starts: int) -> None:
        self.slow_starts, self.starts, self.cleared = slow_starts, 0, 0

    def init(self, **_: object) -> None:
        self.starts += 1
        if self.starts <= self.slow_starts:
            raise Exception("The current node timed out during startup. This could happen because ...")

    def shutdown(self) -> None:
        self.cleared += 1


@pytest.mark.parametrize("slow_starts", [0, 1, 2, 3])
def test_a_busy_machine_gets_three_attempts_to_start_ray(slow_starts: int) -> None:
    slow = SlowRay(slow_starts)
    if slow_starts < 3:
        ray_jobs._start_ray(slow, {}, None)
        assert slow.starts == slow_starts + 1
    else:
        with pytest.raises(UserError, match=r"did not start in 3 attempts of 30 s.* too busy"):
            ray_jobs._start_ray(slow, {}, None)
    assert slow.cleared == slow_starts
