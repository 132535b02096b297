"""CPU time by stage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcdet_poly.allocation import keep_freed_memory
from pcdet_poly.stages import measured, stage


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_stages_share_all_of_the_time() -> None:
    start = time.process_time()
    with measured() as cpu_s:
        burn(0.01)
        with stage("outer"):
            burn(0.02)
            with stage("inner"):
                burn(0.03)
            burn(0.01)
        with stage("inner"):
            burn(0.01)
    spent = time.process_time() - start
    assert cpu_s == pytest.approx({"other": 0.01, "outer": 0.03, "inner": 0.04}, abs=0.004)
    assert sum(cpu_s.values()) == pytest.approx(spent, abs=0.002)


def test_an_error_leaves_its_stage() -> None:
    with measured() as cpu_s:
        with pytest.raises(ValueError, match="x"), stage("a"):
            raise ValueError("x")
        burn(0.01)
    assert cpu_s["a"] < 0.005
    assert cpu_s["other"] >= 0.01


def test_outside_nothing_is_counted() -> None:
    with stage("a"):
        pass
    with measured() as cpu_s:
        pass
    assert set(cpu_s) == {"other"}


def test_freed_memory_is_kept() -> None:
    """Large blocks, given back and asked for again, cost no page faults."""
    import resource

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            bytes(bytearray(4_000_000))
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    faults()
    assert faults() < 1000  # 4,000,000 bytes are 977 pages, twice, ten times


FAULTS = """
from pcdet_poly.allocation import use_large_pages
use_large_pages()
import resource, torch
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(25_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not LARGE_PAGES.is_file() or "[never]" in LARGE_PAGES.read_text(), reason="this machine has no large pages"
)
@pytest.mark.parametrize("users", [None, "0"])
def test_torch_asks_for_large_pages_unless_the_user_says_no(users: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    environment |= {} if users is None else {"THP_MEM_ALLOC_ENABLE": users}
    found = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
    small_pages = 100_000_000 // 4096
    if users is None:
        assert int(found.stdout) < small_pages / 4  # memory in pieces may leave Linux without some large ones
    elif "[always]" not in LARGE_PAGES.read_text():
        assert int(found.stdout) > 0.9 * small_pages
