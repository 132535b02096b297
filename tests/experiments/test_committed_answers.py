"""Committed studies at equal gradient size: their answers against their runs, and the pages against the answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.config.find import find_config
from pcdet_poly.experiments.report.formats.answers_csv import Answer, format_answers_table, read_answers
from pcdet_poly.experiments.sweep.schema import read_sweep

DOCS = Path(__file__).resolve().parents[2] / "docs"
STUDIES = ("size_matched_short", "size_matched_long", "size_matched_real", "heads", "heads_size")


def read_contrasts(study: str) -> dict[tuple[str, str], Answer]:
    """The planned contrasts in the metric that decides, by detector and name."""
    rows = read_answers(DOCS / "studies" / study / "answers.csv")
    return {(row.model, row.question): row for row in rows if row.decides and row.kind == "contrast"}


@pytest.mark.parametrize("study", [*STUDIES, "heads_segmentation"])
def test_contrasts_are_those_of_the_runs(study: str) -> None:
    """By hand: mean over classes and seeds of each arm, and the weighted sum that the study's file names."""
    contrasts = read_contrasts(study)
    sweep = read_sweep(find_config(study, "sweeps"))
    assert {name for _, name in contrasts} == {one.name for one in sweep.questions.contrasts}
    with open(DOCS / "studies" / study / "runs.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["part"], row["level"], row["metric"]) == ("BEV", "1", "ap")]
    for (model, name), answer in contrasts.items():
        (weights,) = (one.weights for one in sweep.questions.contrasts if one.name == name)
        assert answer.metric == "BEV LEVEL_1 AP"
        expected, classes = 0.0, answer.classes.split()
        for arm, weight in weights.items():
            of_arm = [row for row in rows if (row["model"], row["arm"]) == (model, arm) and row["class"] in classes]
            assert len(of_arm) == answer.seeds * len(classes) == len(sweep.seeds) * len(classes)
            expected += weight * np.mean([float(row["points"]) for row in of_arm])
        assert answer.points == pytest.approx(expected, abs=2e-5)  # six digits of numbers below 10


@pytest.mark.parametrize("study", STUDIES)
def test_sizes_are_those_of_the_arms(study: str) -> None:
    """By hand: each arm's size to the power of its weight."""
    with open(DOCS / "studies" / study / "sizes.csv", newline="") as file:
        sizes = {(row["model"], row["arm"]): float(row["size"]) for row in csv.DictReader(file)}
    weights = {one.name: one.weights for one in read_sweep(find_config(study, "sweeps")).questions.contrasts}
    for (model, name), answer in read_contrasts(study).items():
        logarithm = sum(weight * np.log(sizes[model, arm]) for arm, weight in weights[name].items())
        # Sizes have four digits, and up to four of them are multiplied.
        assert answer.size == pytest.approx(np.exp(logarithm), rel=4 * 0.5e-3)


@pytest.mark.parametrize("study", STUDIES)
def test_docs_quote_them(study: str) -> None:
    losses, studies = ((DOCS / name).read_text() for name in ("losses.md", "studies/README.md"))
    for (_, name), one in read_contrasts(study).items():
        if name.startswith("polynomial"):
            assert write_shortly(one, 2) in studies
            assert study.startswith("heads") or write_shortly(one, 1) in losses


def test_the_table_of_all_answers_is_what_the_command_prints() -> None:
    """`pcdet-poly answers` of every study that has some, in the order of their names."""
    page = (DOCS / "studies/README.md").read_text()
    shown = page.partition("<!-- answers: begin -->\n")[2].partition("\n<!-- answers: end -->")[0]
    assert shown == format_answers_table(sorted((DOCS / "studies").glob("*/answers.csv")))


def write_shortly(one: Answer, digits: int) -> str:
    """A number with its interval as the pages have it: `-.75 [-1.91, +.41]`."""
    point, low, high = (
        f"{value:+.{digits}f}".replace("+0.", "+.").replace("-0.", "-.") for value in (one.points, one.low, one.high)
    )
    return f"{point} [{low}, {high}]"
