"""CPU time by stage."""

from __future__ import annotations

import time

import pytest

from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.stage_timer import measure_stages, time_stage


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_stages_share_all_of_the_time() -> None:
    start = time.process_time()
    with measure_stages() as cpu_s:
        burn(0.01)
        with time_stage("outer"):
            burn(0.02)
            with time_stage("inner"):
                burn(0.03)
            burn(0.01)
        with time_stage("inner"):
            burn(0.01)
    spent = time.process_time() - start
    assert cpu_s == pytest.approx({"other": 0.01, "outer": 0.03, "inner": 0.04}, abs=0.004)
    assert sum(cpu_s.values()) == pytest.approx(spent, abs=0.002)


def test_an_error_leaves_its_stage() -> None:
    with measure_stages() as cpu_s:
        with pytest.raises(ValueError, match="x"), time_stage("a"):
            raise ValueError("x")
        burn(0.01)
    assert cpu_s["a"] < 0.005
    assert cpu_s["other"] >= 0.01


def test_outside_nothing_is_counted() -> None:
    with time_stage("a"):
        pass
    with measure_stages() as cpu_s:
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
