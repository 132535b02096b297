"""CPU time by stage."""

from __future__ import annotations

import time

import pytest

from pcdet_poly.malloc import keep_freed_memory
from pcdet_poly.stage_timer import measure_stages, time_stage


class Clock:
    """CPU time that passes only when it is told to, in steps that floats add without rounding."""

    def __init__(self) -> None:
        self.now_s = 3.0

    def __call__(self) -> float:
        return self.now_s

    def burn(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "process_time", clock)
    return clock


def test_stages_share_all_of_the_time(clock: Clock) -> None:
    with measure_stages() as cpu_s:
        clock.burn(0.25)
        with time_stage("outer"):
            clock.burn(0.5)
            with time_stage("inner"):
                clock.burn(1)
            clock.burn(2)
        with time_stage("inner"):
            clock.burn(4)
    assert cpu_s == {"other": 0.25, "outer": 2.5, "inner": 5}


def test_an_error_leaves_its_stage(clock: Clock) -> None:
    with measure_stages() as cpu_s:
        with pytest.raises(ValueError, match="x"), time_stage("a"):
            raise ValueError("x")
        clock.burn(0.5)
    assert cpu_s == {"a": 0, "other": 0.5}


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
