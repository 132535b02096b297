"""A conversion that is stopped at any line, or at any moment, says one line, leaves nothing, and goes on later."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType

import pytest

from pcdet_poly.data.convert.from_waymo import convert_waymo
from tests.data.records import bytes_of, write_segment_records
from tests.interruptions import Ending, stop_after, stop_at_line

NUM_STOPS = int(os.environ.get("PCDET_POLY_FAULTS", "20"))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    write_segment_records(folder, "a", 2)
    write_segment_records(folder, "b", 1)
    return folder


@pytest.fixture(scope="module")
def whole(records: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    store = tmp_path_factory.mktemp("whole")
    convert_waymo([str(records)], store)
    return bytes_of(store)


def convert(records: Path, store: Path) -> Callable[[], object]:
    return lambda: convert_waymo([str(records)], store)


def check_stopped(ending: Ending, signum: int) -> None:
    assert ending.code == 128 + signum, ending
    assert ending.said.count("\n") == 1, ending
    assert ending.complaints == [], ending


def check_goes_on(records: Path, store: Path, whole: dict[str, bytes], ending: Ending) -> None:
    hidden = [path.name for path in store.glob(".*")] if store.exists() else []
    assert hidden == [], ending
    convert(records, store)()
    assert bytes_of(store) == whole, ending
    shutil.rmtree(store)


def test_stopped_at_random_lines(records: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    rng, store = random.Random(18), tmp_path / "store"
    num_lines = stop_at_line(convert(records, store), -1).num_lines
    shutil.rmtree(store)
    for i in range(NUM_STOPS):
        ending = stop_at_line(convert(records, store), rng.randint(1, num_lines), SIGNALS[i % 3])
        if ending.was_stopped:  # waiting for threads takes more or fewer lines: the last ones may not be reached
            check_stopped(ending, SIGNALS[i % 3])
        check_goes_on(records, store, whole, ending)


def opens_archive(code: CodeType) -> bool:
    return code.co_qualname == "ZipFile.__init__"


def test_a_half_built_archive_says_nothing(records: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """Its __del__ complains of what is missing, wherever in ZipFile.__init__ the conversion was stopped."""
    store = tmp_path / "store"
    num_lines = stop_at_line(convert(records, store), -1, chosen=opens_archive).num_lines
    assert num_lines > 20
    shutil.rmtree(store)
    for k in range(1, num_lines, max(num_lines // NUM_STOPS, 1)):
        ending = stop_at_line(convert(records, store), k, chosen=opens_archive)
        assert ending.was_stopped
        check_stopped(ending, signal.SIGTERM)
        check_goes_on(records, store, whole, ending)


def test_stopped_at_random_moments(records: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    rng, store = random.Random(19), tmp_path / "store"
    start = time.perf_counter()
    convert(records, store)()
    usual_s = time.perf_counter() - start
    shutil.rmtree(store)
    for i in range(NUM_STOPS):
        ending = stop_after(convert(records, store), rng.uniform(0, usual_s), SIGNALS[i % 3])
        if ending.code:  # not one that was too late
            check_stopped(ending, SIGNALS[i % 3])
        check_goes_on(records, store, whole, ending)
