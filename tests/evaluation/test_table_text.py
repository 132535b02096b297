"""The table in a terminal and in a pipe: nothing is cut off."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pcdet_poly.config.sections.evaluation import MetricsConfig
from pcdet_poly.evaluation import ApTable, Evaluator, bootstrap, print_table
from tests.evaluation.random_sets import build_random_set


@pytest.fixture(scope="module")
def table() -> ApTable:
    evaluator = Evaluator(MetricsConfig(breakdowns=("OBJECT_TYPE",), let={}))
    evaluator.add(build_random_set(0))
    return bootstrap(evaluator, resamples=10)


def print_lines(table: ApTable, *, width: int, terminal: bool) -> list[str]:
    file = io.StringIO()
    print_table(
        table, title="a title", console=Console(file=file, width=width, force_terminal=terminal, color_system=None)
    )
    return file.getvalue().splitlines()


def test_a_pipe_gets_one_table_whatever_its_width(table: ApTable) -> None:
    lines = print_lines(table, width=80, terminal=False)
    heads = [line for line in lines if "breakdown" in line]
    assert len(heads) == 1
    assert all(f"{part} AP" in heads[0] for part in table.entries)
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize(("width", "tables"), [(400, 1), (100, 4)])
def test_a_terminal_gets_a_table_per_group_of_parts_that_fits(table: ApTable, width: int, tables: int) -> None:
    lines = print_lines(table, width=width, terminal=True)
    assert sum("breakdown" in line for line in lines) == tables
    assert sum("a title" in line for line in lines) == tables
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert sum("frames" in line for line in lines) == 1
