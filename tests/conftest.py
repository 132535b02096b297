"""Folders with test data, and one thread per test process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch

from tests.sockets import is_loopback, watch_listening

# Triton decides at its first import, which torch may cause anywhere, whether kernels are compiled or interpreted.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A shell that starts the tests in the background lets them, and what they start, ignore Ctrl-C; nohup SIGHUP.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first: with one of them last, all processes but one would wait for it."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to run the tests that were skipped because there is no browser."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "Chromium" in str(report.longrepr)]
    if skipped:
        files = " ".join(sorted({report.nodeid.partition("::")[0] for report in skipped}))
        terminalreporter.write_line(
            f"{len(skipped)} tests of pages and their accessibility were skipped: they need a browser. To run them: "
            f"apt-get install chromium (or any Chrome), then .venv/bin/python -m pytest {files}"
        )


@pytest.fixture(scope="session", autouse=True)
def no_foreign_listeners() -> Iterator[None]:
    """Whatever tests start listens on this machine's own address alone."""
    if sys.platform != "linux":
        yield
        return
    with watch_listening(os.getpid(), every_s=2.0) as seen:
        yield
    assert [address for address in sorted(seen) if not is_loopback(address)] == []


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Reference values and official outputs that travel with the project."""
    return ROOT / "tests" / "assets"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real LiDAR data, which licences forbid to ship: skip where it is not at hand.

    Point PCDET_POLY_REAL at a folder with waymo/ and pandaset/.
    """
    folder = Path(os.environ.get("PCDET_POLY_REAL", ROOT.parent / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real LiDAR data at {folder}; set PCDET_POLY_REAL")
    return folder
