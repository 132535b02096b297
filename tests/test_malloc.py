"""Memory that is freed stays with the process, where commands run networks, unless the environment says otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from pcdet_poly import malloc

COUNT_FAULTS = """
import resource
from pcdet_poly.malloc import keep_all_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        both = bytearray(100_000_000), bytearray(30_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_all_freed_memory()
count_faults()
print(count_faults())
"""
SHOW_THE_CALL = """
import sys
import pcdet_poly.commands.main as program

program.keep_all_freed_memory = lambda: print("memory is kept")
sys.argv = ["pcdet-poly", *sys.argv[1:], "--help"]
sys.exit(program.main())
"""


def is_setting(name: str) -> bool:
    return name in (*malloc._SETTINGS, "GLIBC_TUNABLES")


def run_python(code: str, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not is_setting(name)}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc alone has the options")
def test_blocks_of_any_size_are_kept() -> None:
    """Without, five times 130 MB are 158,000 pages of 4 KiB, all of them asked for again."""
    assert int(run_python(COUNT_FAULTS)) < 1000


@pytest.mark.parametrize(
    ("command", "is_kept"),
    [
        ("train", True),
        ("test", True),
        ("detect", True),
        ("trial", True),
        ("paper", True),
        ("evaluate", False),
        ("preprocess", False),
    ],
)
def test_programs_that_run_networks_keep_it(command: str, is_kept: bool) -> None:
    assert run_python(SHOW_THE_CALL, command).startswith("memory is kept\n") == is_kept


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_MMAP_MAX_", "1000"), ("MALLOC_TRIM_THRESHOLD_", "0"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=9")],
)
def test_the_environment_has_the_last_word(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    for each in filter(is_setting, os.environ.copy()):
        monkeypatch.delenv(each)
    monkeypatch.setattr(malloc, "_set_options", given.append)
    monkeypatch.setenv(name, value)
    malloc.keep_all_freed_memory.__wrapped__()
    assert given == []
    monkeypatch.delenv(name)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.cpu.x86_ibt=off")
    malloc.keep_all_freed_memory.__wrapped__()
    assert len(given) == 1
