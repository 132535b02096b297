"""The way of `epsilon` from a YAML file to the formula, followed through the real stack by a number that marks it."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.epsilon_path import HEADS, trace_epsilon

SHOWN = {  # what README and docs/losses.md show for each head
    "center": "gaussian_poly1_focal",
    "anchor": "poly1_focal",
    "rsn": "poly1_focal",
}


@pytest.mark.parametrize("head", HEADS)
def test_epsilon_goes_straight_from_the_config_to_the_formula(head: str) -> None:
    hops = trace_epsilon(head)
    assert len(hops) <= 7
    assert (hops[0].file, hops[0].name) == ("config/sections/losses.py", "PolyConfig")
    criterion = "center/criterion" if head == "center" else f"{head}_criterion"
    assert (hops[1].file, hops[1].name) == (f"losses/{criterion}.py", f"{head.title()}Criterion.__call__")
    assert (hops[-1].file, hops[-1].name) == ("losses/series.py", "sum_series")
    assert SHOWN[head] in [hop.name for hop in hops]


@pytest.mark.parametrize("head", HEADS)
def test_no_file_is_entered_again_once_it_is_left(head: str) -> None:
    files = [file for file, _ in itertools.groupby(hop.file for hop in trace_epsilon(head))]
    assert len(files) == len(set(files))


@pytest.mark.parametrize("head", HEADS)
def test_the_value_has_one_name(head: str) -> None:
    """It is `epsilon`, `epsilons` where a list of them goes into the formula, or an attribute of the settings."""
    settings = {"cfg", "segmentation"}
    functions = trace_epsilon(head)[1:]
    assert all(hop.variables for hop in functions)
    assert {name for hop in functions for name in hop.variables} <= {"epsilon", "epsilons"} | settings
