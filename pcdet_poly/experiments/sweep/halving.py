"""Successive halving: many arms for few steps, the best for more, and fresh seeds for the last comparison.

A grid of epsilon, loss weight and learning rate is too large to train to the end. Each round trains the arms that are
left from the start, with a schedule of its own length, and keeps the best, apart for arms with and without a
polynomial: what is compared in the end is tuned Poly-1 against the tuned plain loss. The rounds' seeds have chosen, so
they prove nothing; the final sweep trains with others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.metrics_file import read_metrics
from pcdet_poly.experiments.sweep.folder import SweepFolder
from pcdet_poly.experiments.sweep.questions import Contrast, MainMetric
from pcdet_poly.experiments.sweep.schema import Arm, Sweep, Trial

# Any of these, if not 0, makes an arm one with a polynomial.
_POLYNOMIAL = ("classification.epsilon", "classification.epsilon_background", "classification.epsilons")


def build_round(sweep: Sweep, arms: Sequence[Arm], steps: int, seeds: tuple[int, ...]) -> Sweep:
    """Build the sweep of one round.

    Args:
        sweep: the whole file.
        arms: that are left.
        steps: of every training.
        seeds: to train with.

    Returns:
        A sweep without halving. Its baseline is the file's where that is left, or else its first arm.

    Raises:
        UserError: no arm is left.
    """
    if not arms:
        raise UserError("halving: no arm has finished all its trials; see what failed, and run the same command again")
    names = [arm.name for arm in arms]
    baseline = sweep.baseline if sweep.baseline in names else names[0]
    changed = {
        "arms": tuple(arms),
        "grid": {},
        "seeds": seeds,
        "baseline": baseline,
        "overrides": dict(sweep.overrides) | {"train.steps": steps},
        "halving": None,
        "contrasts": (),
    }
    return Sweep.model_validate(sweep.model_dump() | changed)


def build_final(sweep: Sweep, arms: Sequence[Arm]) -> Sweep:
    """Build the final sweep: the best arm without a polynomial and the best with one, on fresh seeds.

    Args:
        sweep: the whole file.
        arms: the best first.

    Returns:
        A sweep whose baseline is the best plain arm, with one planned contrast.

    Raises:
        UserError: there is no arm of one kind left.
    """
    assert sweep.halving is not None
    plain = [arm for arm in arms if not has_polynomial(arm)]
    poly = [arm for arm in arms if has_polynomial(arm)]
    if not plain or not poly:
        raise UserError("halving: arms with and without a polynomial are needed, and one of them finished")
    final = build_round(sweep, [plain[0], poly[0]], sweep.halving.final_steps, sweep.halving.final_seeds)
    contrast = Contrast(name="tuned Poly-1 against the tuned plain loss", weights={poly[0].name: 1, plain[0].name: -1})
    return Sweep.model_validate(final.model_dump() | {"baseline": plain[0].name, "contrasts": (contrast,)})


def has_polynomial(arm: Arm) -> bool:
    """Whether an arm's settings change the loss by a polynomial."""
    values = [arm.overrides.get(key) for key in _POLYNOMIAL]
    listed = [number for value in values for number in (value if isinstance(value, list | tuple) else (value,))]
    return any(number not in (None, 0) for number in listed)


def choose_survivors(arms: Sequence[Arm], scores: Mapping[str, float], keep: float) -> list[Arm]:
    """Choose the best arms, apart for those with and without a polynomial.

    Args:
        arms: that were trained.
        scores: by arm; one without a score failed, and is left out.
        keep: share of each kind that is kept, rounded up.

    Returns:
        Arms, the best of each kind first.
    """
    survivors: list[Arm] = []
    for kind in (False, True):
        ranked = sorted(
            (arm for arm in arms if arm.name in scores and has_polynomial(arm) == kind),
            key=lambda arm: -scores[arm.name],
        )
        survivors += ranked[: math.ceil(keep * len(ranked))]
    return survivors


def read_scores(folder: SweepFolder, trials: Sequence[Trial], main: MainMetric) -> dict[str, float]:
    """Read the mean main metric of every arm whose trials have all finished.

    Args:
        folder: of a round.
        trials: its trials.
        main: the metric; the mean is over the named classes, or over all of the detector's.

    Returns:
        The score by arm.
    """
    found: dict[str, list[float]] = {}
    for trial in trials:
        done = folder.read_end(trial.name).status == "done"
        found.setdefault(trial.arm, []).append(
            _read_score(folder.run_path(trial.name), trial, main) if done else math.nan
        )
    means = {arm: sum(values) / len(values) for arm, values in found.items()}
    return {arm: mean for arm, mean in means.items() if math.isfinite(mean)}


def _read_score(run: Path, trial: Trial, main: MainMetric) -> float:
    table, _ = read_metrics(run / "metrics.json")
    classes = trial.config.data.classes if main.classes == "learnt" else main.classes
    values = [table[main.box_type][f"OBJECT_TYPE_TYPE_{name}_LEVEL_{main.level}"][main.metric] for name in classes]
    return float(sum(values) / len(values))
