"""The whole study of classification: train every arm and seed, compare, draw; rows of the paper report come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcdet_poly.experiments.classification.arms import PAPER_EPSILON, PLAIN, Arm, Comparison, list_comparisons
from pcdet_poly.experiments.classification.data import load_small_digits
from pcdet_poly.experiments.classification.notes import format_notes
from pcdet_poly.experiments.classification.train import TrainingSettings
from pcdet_poly.experiments.classification.trials import Results, Trial, run_trials, write_csv_files
from pcdet_poly.experiments.paper.compare import ComparedArm, ComparedStudy, compare_arms
from pcdet_poly.experiments.paper.rows import PaperRow, Role
from pcdet_poly.figure_files import save_figure_in_formats
from pcdet_poly.files import atomic_path

NUM_SEEDS, NUM_QUICK_SEEDS = 10, 4
SETTINGS = TrainingSettings()  # the quick study's, too: the full one goes on from its trainings
SOURCE = "classification/trials.csv"


def prepare_digits() -> None:
    """Read the digits. Raises UserError where the package that carries them is not installed."""
    load_small_digits()


def run_study(output: Path, *, quick: bool) -> list[PaperRow]:
    """Train what is not trained yet, and write tables and figures.

    Args:
        output: folder for them, and for the trials' results; made if missing.
        quick: few arms and seeds.

    Returns:
        A row for each arm of each comparison, the question of epsilon first.
    """
    comparisons = list_comparisons(quick=quick)
    seeds = range(NUM_QUICK_SEEDS if quick else NUM_SEEDS)
    arms = list(dict.fromkeys(arm for comparison in comparisons for arm in comparison.arms))
    trials = [Trial(arm, seed) for seed in seeds for arm in arms]  # seed after seed: what is there is always paired
    results = run_trials(output / "trials", trials, SETTINGS)
    write_csv_files(output, results)
    rows = [row for comparison in comparisons for row in compare_results(comparison, results, len(seeds))]
    write_figures(output, rows, results)
    with atomic_path(output / "notes.md") as temporary:
        temporary.write_text(format_notes(results, SETTINGS, len(seeds)), "utf-8", newline="\n")
    return rows


def compare_results(comparison: Comparison, results: Results, num_seeds: int) -> list[PaperRow]:
    """Compare the arms of one question in accuracy.

    Args:
        comparison: the question and its arms.
        results: of every trial.
        num_seeds: trained per arm.

    Returns:
        A row for each arm but the first.
    """
    points = [[100 * results[Trial(arm, seed)].accuracy for arm in comparison.arms] for seed in range(num_seeds)]
    shown = "two-digit numbers" if comparison.arms[0].data == "numbers" else "noisy digits"
    system = f"residual network, MNIST {shown}"
    study = ComparedStudy("classification", system, "accuracy, %", SOURCE, comparison.question)
    arms = [ComparedArm(arm.name, find_role(arm), arm.epsilon) for arm in comparison.arms]
    return compare_arms(study, arms, np.array(points))


def find_role(arm: Arm) -> Role:
    """Find what an arm's row is for: where labels are noisy, to see a known effect."""
    if arm.data != PLAIN.data:
        return "control" if arm.num_terms is not None else "other"
    if arm.poly1 != PAPER_EPSILON:
        return "other"
    return "matched" if arm.is_matched else "paper"


def write_figures(output: Path, rows: list[PaperRow], results: Results) -> None:
    """Draw everything, as PNG and SVG.

    Args:
        output: the folder.
        rows: of the report.
        results: of every trial.
    """
    from pcdet_poly.experiments.classification.figures import draw_epsilons, draw_terms, draw_training

    figures = {"epsilon": draw_epsilons(rows), "terms": draw_terms(results), "training": draw_training(results)}
    for name, figure in figures.items():
        save_figure_in_formats(figure, output / f"{name}.png", ("png", "svg"))
