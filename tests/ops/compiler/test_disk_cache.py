"""Where compiled kernels lie, and what happens where nothing can be written or read."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import config

from pcdet_poly.ops.compiler import cache_folders as folders
from pcdet_poly.ops.compiler import disk_cache
from pcdet_poly.ops.compiler.cache_folders import list_cache_folders
from tests.ops.compiler.conftest import KERNELS, SmallPackage

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def no_real_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    disk_cache._warn_that_nothing_is_kept.cache_clear()


def block_folder_of_package(package: SmallPackage) -> None:
    """As in a read-only installation; file permissions would not stop root."""
    (package.folder / "__pycache__").write_text("")


def test_lies_beside_the_source(small_package: SmallPackage) -> None:
    small_package.compile()
    assert len(list((small_package.folder / "__pycache__").glob("*.nbc"))) == len(KERNELS)


def test_lies_in_the_folder_that_numba_is_told(small_package: SmallPackage, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "told"))
    small_package.compile()
    assert len(list((tmp_path / "told").glob("small_package_*/*.nbc"))) == len(KERNELS)
    assert not (small_package.folder / "__pycache__").exists()


def test_the_folder_that_numba_is_told_is_the_only_one(
    small_package: SmallPackage, tmp_path: Path, monkeypatch
) -> None:
    small_package.compile()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "told"))
    small_package.compile()
    assert small_package.compiled() == set(KERNELS)


def test_a_told_folder_that_cannot_be_written_is_passed_by(small_package: SmallPackage, monkeypatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", "/dev/null")
    small_package.compile()
    assert len(list((small_package.folder / "__pycache__").glob("*.nbc"))) == len(KERNELS)


def test_lies_in_the_home_if_the_package_cannot_be_written(small_package: SmallPackage, tmp_path: Path) -> None:
    block_folder_of_package(small_package)
    small_package.compile()
    assert len(list((tmp_path / "user" / "pcdet_poly" / "kernels").glob("small_package_*/*.nbc"))) == len(KERNELS)
    small_package.compile()
    assert small_package.compiled() == set()


@pytest.mark.parametrize("home", ["blocked", "none"])
def test_lies_in_a_private_temporary_folder_if_there_is_no_home(
    home: str, small_package: SmallPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block_folder_of_package(small_package)
    if home == "blocked":
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(folders.os.path, "expanduser", lambda path: path)  # of a user whom the system does not know
    small_package.compile()
    private = tmp_path / f"pcdet_poly-kernels-{os.getuid()}"
    assert len(list(private.glob("small_package_*/*.nbc"))) == len(KERNELS)
    assert private.stat().st_mode & 0o077 == 0
    small_package.compile()
    assert small_package.compiled() == set()


def test_loads_nothing_that_somebody_else_could_have_put_there(small_package: SmallPackage, tmp_path: Path) -> None:
    private = tmp_path / f"pcdet_poly-kernels-{os.getuid()}"
    private.mkdir()
    private.chmod(0o777)
    assert private not in [folder.parent for folder in list_cache_folders(small_package.folder / "callee.py")]


def test_compiles_without_a_cache_and_says_so_once(
    small_package: SmallPackage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block_folder_of_package(small_package)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(folders.tempfile, "tempdir", "/dev/null")
    assert small_package.compile()["caller.twice"] == 506
    assert capsys.readouterr().err == (
        "warning: compiled kernels are not kept (no folder can be written), so every process compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written\n"
    )


def test_a_read_only_installation_brings_its_compiled_kernels(
    small_package: SmallPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever installed it ran it once; further types of arguments go to the home."""
    small_package.compile()
    installed = small_package.folder / "__pycache__"
    monkeypatch.setattr(folders, "_is_writable", lambda folder: folder != installed)
    small_package.compile()
    assert small_package.compiled() == set()
    assert small_package.kernels["callee.unused"](0.5) == 0.5
    assert len(list((tmp_path / "user").rglob("*.nbc"))) == 1


def test_a_damaged_file_is_compiled_again(small_package: SmallPackage) -> None:
    small_package.compile()
    damaged = next((small_package.folder / "__pycache__").glob("callee.unused-*"))
    whole = damaged.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no pickle"):
        damaged.write_bytes(content)
        assert small_package.compile()["callee.unused"] == 5
        assert small_package.compiled() == {"callee.unused"}
    small_package.compile()
    assert small_package.compiled() == set()


def test_each_kind_of_arguments_has_its_own_file(small_package: SmallPackage) -> None:
    kinds = (5, 0.5, np.ones(2), np.ones(2, np.float32), np.ones((2, 2))[:, 0])
    for expected in (len(kinds), 0):
        kernel = small_package.load()["callee.unused"]
        for value in kinds:
            kernel(value)
        assert sum(kernel.stats.cache_misses.values()) == expected


def test_recompiling_replaces_what_is_on_disk(small_package: SmallPackage) -> None:
    small_package.compile()
    small_package.kernels["callee.unused"].recompile()
    assert len(list((small_package.folder / "__pycache__").glob("callee.unused-*"))) == 1


WORKERS = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from small_package.caller import twice

def work(value):
    return twice(value), sum(twice.stats.cache_misses.values())

if __name__ == "__main__":
    if sys.argv[3] == "warm":
        twice(5)
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        print(pool.map(work, [5, 5, 5, 5], chunksize=2))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_load_what_their_parent_compiled(method: str, small_package: SmallPackage) -> None:
    script = small_package.folder.parent / "workers.py"
    script.write_text(WORKERS)
    for start, num_compiled in (("cold", None), ("warm", 0)):
        done = subprocess.run(
            [sys.executable, script, small_package.folder.parent, method, start],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=3600,
        )
        results = eval(done.stdout)
        assert [value for value, _ in results] == [506] * 4
        if num_compiled is not None:
            assert {compiled for _, compiled in results} == {num_compiled}


def test_nothing_is_read_or_compiled_on_import(small_package: SmallPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_cache, "compute_fingerprint", None)
    small_package.load()


def test_without_numba_kernels_are_plain_functions(small_package: SmallPackage) -> None:
    code = "from small_package.caller import twice; print(twice(5), type(twice).__name__)"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{ROOT}:{small_package.folder.parent}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "506 function\n"


def test_a_file_with_any_byte_changed_or_cut_anywhere_is_compiled_again_or_was_not_harmed(tmp_path: Path) -> None:
    path, types, code = tmp_path / "a.nbc", (1, 2), ("kernel", bytes(range(90)))
    sound = disk_cache._add_checksum(pickle.dumps((types, code)))
    path.write_bytes(sound)
    assert disk_cache._read(path, types) == code
    changed = [sound[:i] + bytes([sound[i] ^ bit]) + sound[i + 1 :] for i in range(len(sound)) for bit in (1, 128)]
    for data in (*changed, *(sound[:end] for end in range(len(sound)))):
        path.write_bytes(data)
        assert disk_cache._read(path, types) in (None, code)
    path.write_bytes(pickle.dumps((types, code)))  # as written before there were checksums
    assert disk_cache._read(path, types) == code
