"""Tolerances in tests have a name or a reason: see tests/tolerances.py."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
ROOMS = sorted({path.relative_to(TESTS).parts[0] for path in TESTS.rglob("*.py")})  # folders, and files of no room
_KEYWORDS = {"atol", "rtol", "abs", "rel"}
_SMALL = 1e-2  # larger ones are shares and physical lengths, which say themselves what they are


def find_bare_tolerances(source: str) -> list[int]:
    """Find the lines with a small number for a tolerance, and no comment on the line or the one above."""
    lines = source.splitlines()
    wanted = (node.lineno for node in list_tolerances(ast.parse(source)) if is_small_number(node))
    return sorted({line for line in wanted if "#" not in lines[line - 1] and "#" not in lines[line - 2]})


def list_tolerances(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what tolerances are called with, and what errors are compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg in _KEYWORDS)
        elif isinstance(node, ast.Compare):
            pairs = zip(node.ops, node.comparators, strict=True)
            yield from (value for operator, value in pairs if isinstance(operator, ast.Lt | ast.LtE))


def is_small_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < math.fabs(node.value) < _SMALL


@pytest.mark.parametrize("room", ROOMS)
def test_every_tolerance_has_a_name_or_a_reason(room: str) -> None:
    files = sorted((TESTS / room).rglob("*.py")) or [TESTS / room]
    bare = {str(path.relative_to(TESTS)): find_bare_tolerances(path.read_text("utf-8")) for path in files}
    assert {name: lines for name, lines in bare.items() if lines} == {}


def test_bare_ones_are_found() -> None:
    source = """
close(a, b, atol=1e-5)
close(a, b, atol=1e-5)  # a reason
# a reason
close(a, b, rtol=1e-5)
assert error < 1e-4
assert a == approx(b, rel=0.1, abs=ROUNDING)
"""
    assert find_bare_tolerances(source) == [2, 6]
