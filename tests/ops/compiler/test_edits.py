"""Which edits of a source file compile which kernels again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.ops.compiler.conftest import SmallPackage

BEFORE = {
    "callee.below": 3,
    "callee.unused": 5,
    "caller.twice": 506,
    "caller.alone": 9,
    "caller.table": 6,
    "caller.written": 12,
}


@pytest.fixture
def compiled_package(small_package: SmallPackage) -> SmallPackage:
    assert small_package.compile() == BEFORE
    assert small_package.compiled() == set(BEFORE)
    return small_package


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("callee.py", "  # a comment", "  # another, longer comment"),
        ("callee.py", "A docstring.", "Another docstring.\n\n    With more lines."),
        ("callee.py", '    """A docstring."""\n', ""),
        (
            "callee.py",
            "STEP = 10\n",
            "STEP = 11\n\n\ndef unrelated():\n    return STEP\n\n\n# Everything below moves down.\n",
        ),
        ("callee.py", "min(x, LIMIT)", "min(\n        x,\n        LIMIT,\n    )"),
        ("callee.py", "def unused(x):", "def unused(x: int) -> int:"),
        ("constants.py", "LIMIT = 3", "LIMIT = 2 + 1  # the same value"),
    ],
    ids=["comment", "docstring", "no docstring", "code elsewhere", "line breaks", "annotations", "equal value"],
)
def test_what_changes_no_kernel_compiles_nothing(compiled_package: SmallPackage, file: str, old: str, new: str) -> None:
    compiled_package.edit(file, old, new)
    assert compiled_package.compile() == BEFORE
    assert compiled_package.compiled() == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("constants.py", "LIMIT = 3", "LIMIT = 4", {"callee.below": 4, "caller.twice": 508}),
        ("constants.py", "OTHER = 4", "OTHER = 5", {"caller.alone": 10}),
        ("callee.py", "min(x, LIMIT)", "max(x, LIMIT)", {"callee.below": 5, "caller.twice": 510}),
        ("caller.py", "FACTOR = 100", "FACTOR = 200", {"caller.twice": 1006}),
        ("caller.py", "x * FACTOR", "-x * FACTOR", {"caller.twice": -494}),
        ("caller.py", "np.arange(3)", "np.arange(3) + 1", {"caller.table": 7}),
        ("caller.py", "SEVEN = 7", "SEVEN = 8", {"caller.written": 13}),
        ("caller.py", "(64), SEVEN)", "(64), -SEVEN)", {"caller.written": -2}),
        ("callee.py", "    return x\n", "    return x + 0.5\n", {"callee.unused": 5.5}),
    ],
    ids=[
        "constant of a callee",
        "through a module",
        "callee",
        "constant below",
        "inlined",
        "array",
        "of code written",
        "code written",
        "the kernel",
    ],
)
def test_kernels_that_use_what_changes_are_compiled_again_and_no_others(
    compiled_package: SmallPackage, file: str, old: str, new: str, changed: dict[str, float]
) -> None:
    compiled_package.edit(file, old, new)
    assert compiled_package.compile() == BEFORE | changed
    assert compiled_package.compiled() == set(changed)


def test_another_compile_option_compiles_again(compiled_package: SmallPackage) -> None:
    compiled_package.edit("callee.py", "@kernel\ndef below", '@kernel(inline="always")\ndef below')
    assert compiled_package.compile() == BEFORE
    assert compiled_package.compiled() >= {"caller.twice"}


def test_code_of_before_an_edit_is_removed_once_the_new_is_there(compiled_package: SmallPackage) -> None:
    folder = compiled_package.folder / "__pycache__"
    earlier, theirs = folder / "pcdet_poly-0123456789ab", folder / "pcdet_poly-0123456789ac"
    for one in (earlier, theirs):
        one.mkdir()
        (one / "kernel.nbi").touch()
    (theirs / "notes.txt").touch()
    before = names(folder)
    compiled_package.edit("callee.py", "    return x\n", "    return x + 1\n")
    compiled_package.compile()
    after = names(folder)
    assert [path.name for path in theirs.iterdir()] == ["notes.txt"]
    assert {name.split("-")[0] for name in before - after} == {"callee.unused", "pcdet_poly"}
    assert {name.split("-")[0] for name in after - before} == {"callee.unused"}


def test_code_of_a_file_that_is_gone_is_removed(compiled_package: SmallPackage) -> None:
    folder = compiled_package.folder / "__pycache__"
    written = next(folder.glob("callee.unused-*"))
    written.with_name(written.name.replace("callee", "removed_module")).touch()
    compiled_package.edit("callee.py", "    return x\n", "    return x + 1\n")
    compiled_package.compile()
    assert not list(folder.glob("removed_module*"))


def test_code_of_another_compiler_is_kept_for_a_month(compiled_package: SmallPackage) -> None:
    folder = compiled_package.folder / "__pycache__"
    for name, age_s in (("young", 0), ("old", 31 * 24 * 3600)):
        file = folder / f"callee.{name}-0123456789abcdef.numba0.1-012345.py311-0123456789abcdef.nbc"
        file.touch()
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - age_s))
    compiled_package.edit("callee.py", "    return x\n", "    return x + 1\n")
    compiled_package.compile()
    assert list(folder.glob("callee.young*"))
    assert not list(folder.glob("callee.old*"))


def test_a_process_that_still_runs_the_code_of_before_goes_on(compiled_package: SmallPackage) -> None:
    """It has not called the kernel yet when another process puts the new version into its place."""
    old = compiled_package.load()
    compiled_package.edit("callee.py", "    return x\n", "    return x + 1\n")
    assert compiled_package.compile()["callee.unused"] == 6
    assert old["callee.unused"](5) == 5


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


PAIRS = """

from collections import namedtuple

Pair = namedtuple("Pair", "first second")


@kernel
def make(x):
    return Pair(x, 2 * x)


@kernel
def take(pair):
    return pair.first


@kernel
def make_and_take(x):
    return take(make(x))


@kernel
def take_inner(pairs):
    return pairs[0].first
"""


def test_the_fields_of_named_tuples_count(small_package: SmallPackage) -> None:
    """Machine code knows a field by its position: another order is other code, although no instruction changes."""
    with (small_package.folder / "caller.py").open("a") as file:
        file.write(PAIRS)
    for fields, expected in (("first second", 1), ("second first", 2)):
        small_package.edit("caller.py", '"first second"', f'"{fields}"')
        small_package.load()
        module = sys.modules["small_package.caller"]
        assert module.make_and_take(1) == expected
        assert module.take(module.Pair(1, 2)) == expected
        assert module.take_inner((module.Pair(1, 2), 3)) == expected
