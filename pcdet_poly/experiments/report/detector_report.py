"""Everything that a report shows of one model, computed once for Markdown, CSV and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pcdet_poly.experiments.report.epsilon_choice import Choice, choose_on_halves, epsilon_arms
from pcdet_poly.experiments.report.findings import findings
from pcdet_poly.experiments.report.finished_sweep import Model, Study
from pcdet_poly.experiments.report.loss_behaviour import Behaviour, Histogram, behaviour_of, histograms
from pcdet_poly.experiments.report.metrics import Corrected, Difference, Numbers, corrected
from pcdet_poly.experiments.report.shown_frames import Scene, scenes


@dataclass(frozen=True)
class Sizes:
    """How much to compute and to show."""

    resamples: int = 400  # of the segments
    histogram_frames: int = 16  # that one run per arm looks at for its P_t
    scene_frames: int = 4
    scene_points: int = 20_000  # per frame


@dataclass(frozen=True)
class Result:
    """What was found with one model."""

    numbers: Numbers
    epsilons: dict[str, float]
    differences: tuple[Difference, ...]  # every arm in every cell
    corrected: dict[tuple[str, str], Corrected]  # (arm, class) in the main cell
    choices: list[Choice]
    loss: list[Behaviour]
    histograms: list[Histogram]
    scenes: list[Scene]
    findings: list[str]

    @property
    def model(self) -> Model:
        """What it is a result of."""
        return self.numbers.model

    @property
    def arms(self) -> list[str]:
        """Arms with a run, in the sweep's order."""
        return [arm for arm, runs in self.model.runs.items() if runs]

    def main_differences(self) -> list[Difference]:
        """Those in the part, level and metric that decide."""
        return [one for one in self.differences if one.cell[1:] == self.numbers.main]


def result_of(model: Model, sizes: Sizes) -> Result:
    """Compute everything. The model needs at least one run of its baseline."""
    numbers = Numbers(model, resamples=sizes.resamples)
    differences = tuple(one for cell in numbers.cells() for one in numbers.differences(cell))
    p = corrected([one for one in differences if one.cell[1:] == numbers.main])
    choices = choose_on_halves(numbers, resamples=sizes.resamples)
    loss = [behaviour_of(model, arm) for arm, runs in model.runs.items() if runs]
    return Result(
        numbers,
        epsilon_arms(model),
        differences,
        p,
        choices,
        loss,
        histograms(model, sizes.histogram_frames),
        scenes(numbers, sizes.scene_frames, sizes.scene_points),
        findings(numbers, p, choices, loss),
    )


def results_of(study: Study, sizes: Sizes) -> list[Result]:
    """Of every model that has a baseline to compare with."""
    return [result_of(model, sizes) for model in study.models if model.runs[model.baseline]]


def described(study: Study, result: Result) -> str:
    """What was compared, in one line."""
    model = result.model
    seeds = sorted({seed for runs in model.runs.values() for seed in runs})
    num_runs = sum(map(len, model.runs.values()))
    num_trials = sum(len(_trials_of(study, model, arm)) for arm in model.runs)
    within = model.config.evaluation.within
    where = f", centres in x {within[0]:g}..{within[2]:g}, y {within[1]:g}..{within[3]:g} m" if within else ""
    return (
        f"{model.name}: {num_runs} of {num_trials} runs ({len(result.arms)} arms, seeds {', '.join(map(str, seeds))}), "
        f"{len(model.labels.frame_ids)} frames of {_segments(result.numbers.segments)}{where}; "
        f"baseline {model.baseline}"
    )


def _segments(names: Sequence[str]) -> str:
    whole = {name.partition("#")[0] for name in names}
    counted = "1 segment" if len(whole) == 1 else f"{len(whole)} segments"
    return counted if len(whole) == len(names) else f"{counted} in {len(names)} pieces"


def _trials_of(study: Study, model: Model, arm: str) -> Sequence[int]:
    left_out = [one.seed for one in study.excluded if (one.model, one.arm) == (model.name, arm)]
    return [*model.runs[arm], *left_out]
