"""What the comparisons of the classification study do not say by themselves, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.classification.arms import Arm
from pcdet_poly.experiments.classification.data import NOISE, NUM_NOISY, NUM_NUMBERS, NUM_TEST_NUMBERS
from pcdet_poly.experiments.classification.train import LEARNING_RATES, TrainingSettings
from pcdet_poly.experiments.classification.trials import Results

_HEADS = (
    "data, loss",
    "accuracy, % (sd)",
    "cross-entropy",
    "calibration error",
    "mean P_t, test",
    "gradient size: start, middle, end",
    "share of the first polynomial: start, middle, end",
)


def format_notes(results: Results, settings: TrainingSettings, num_seeds: int) -> str:
    """Describe the trainings, and what every loss did on average.

    Args:
        results: of every trial.
        settings: of the trainings.
        num_seeds: trained per arm.

    Returns:
        Markdown.
    """
    rates = ", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())
    about = (
        f"{num_seeds} seeds, each with its own split, first weights and order of images, the same in all arms; "
        f"{settings.num_steps} steps of {settings.batch_size} images, SGD with momentum {settings.momentum:g} and a "
        f"cosine, learning rate {rates}. Numbers: {NUM_NUMBERS} images of two digits side by side (100 classes) "
        f"from one half of the digits, {NUM_TEST_NUMBERS} from the other half to test on. Noisy digits: {NUM_NOISY} "
        f"digits, {100 * NOISE:g} % of their labels drawn anew; tested on all others, with right labels."
    )
    arms = list(dict.fromkeys(trial.arm for trial in results))
    table = format_markdown_table(_HEADS, (_format_arm(arm, results) for arm in arms))
    sizes = (
        "Gradient size: sum of |dL/dlogit| divided by that of cross-entropy on the same logits, before any weight. "
        "Share: how much of the loss's own gradient comes from its first polynomial."
    )
    return f"{about}\n\n{table}\n\n{sizes}\n"


def _format_arm(arm: Arm, results: Results) -> list[str]:
    found = [result for trial, result in results.items() if trial.arm == arm]
    accuracy = np.array([100 * result.accuracy for result in found])
    means = [float(np.mean([getattr(result, name) for result in found])) for name in _SCORES]
    sizes, shares = (
        [[getattr(record, name) for record in result.records] for result in found] for name in ("size", "first_share")
    )
    spread = f" ({accuracy.std(ddof=1):.2f})" if len(found) > 1 else ""
    cells = [f"{value:.3f}" for value in means]
    return [f"{arm.data}, {arm.name}", f"{accuracy.mean():.2f}{spread}", *cells, _pick(sizes), _pick(shares)]


_SCORES = ("cross_entropy", "calibration_error", "mean_p_t")


def _pick(series: Sequence[Sequence[float]]) -> str:
    mean = np.mean(np.array(series), axis=0)
    return ", ".join(f"{mean[place]:.2f}" for place in (0, len(mean) // 2, -1))
