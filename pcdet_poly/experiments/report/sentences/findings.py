"""What the metrics allow to say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pcdet_poly.experiments.report.epsilon_choice import EpsilonChoice
from pcdet_poly.experiments.report.gradient_sizes import ArmSize
from pcdet_poly.experiments.report.learning import describe_learning, list_learnt_classes
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour
from pcdet_poly.experiments.report.metrics import AdjustedP, DetectorMetrics, TableCell
from pcdet_poly.experiments.report.planned import Answers
from pcdet_poly.experiments.report.sentences.number_words import format_gain, format_p
from pcdet_poly.experiments.report.sentences.planned_answers import describe_answers, describe_control
from pcdet_poly.experiments.report.sentences.sizes import describe_contrast_sizes, describe_size_curve
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS

_TOO_FEW = f"fewer than {MIN_SEEDS} seeds"


@dataclass(frozen=True)
class Evidence:
    """All that findings are made of."""

    metrics: DetectorMetrics
    adjusted_p: Mapping[tuple[str, str], AdjustedP]  # by arm and class, in the ranking metric
    answers: Sequence[Answers] = ()  # in the main metric, then beside it
    sizes: Mapping[str, ArmSize] = field(default_factory=dict)  # of gradients, by arm
    choice: EpsilonChoice | None = None
    losses: Sequence[LossBehaviour] = ()  # what the loss of each arm did
    epsilons: Mapping[str, float] = field(default_factory=dict)  # of the arms that differ by it alone, ascending


def write_findings(evidence: Evidence) -> list[str]:
    """Write the findings as sentences in plain text: the planned answers first, then the rest.

    A study in which no class was learnt has no findings about its arms: where scores are near 0 their differences and
    spreads are small, too, and would look like precision.
    """
    metrics = evidence.metrics
    order_of_p = describe_order_of_p(evidence.losses, evidence.epsilons)
    learning = describe_learning(metrics)
    if not list_learnt_classes(metrics):
        return [*learning, *order_of_p]
    baseline = metrics.detector.baseline
    answers = evidence.answers
    num_incomplete = len(metrics.detector.runs) - len(metrics.complete_arms)
    notes = describe_contrast_sizes(answers[0], evidence.sizes) if answers else {}
    return [
        *describe_answers(answers, baseline, num_incomplete, notes),
        *(describe_size_curve(answers[0], evidence.sizes) if answers else ()),
        *learning,
        *_describe_controls(evidence),
        *_describe_choice(evidence.choice, baseline),
        *_describe_exploration(metrics, evidence.adjusted_p),
        *order_of_p,
    ]


def _describe_controls(evidence: Evidence) -> list[str]:
    expected = evidence.metrics.detector.expected
    if not evidence.answers:
        return []
    main = evidence.answers[0]
    found = {main.arms[arm]: one.estimate for arm, one in zip(main.many.arms, main.many.each, strict=True)}
    return [describe_control(arm, wanted, found[arm]) for arm, wanted in expected.items() if arm in found]


def _describe_choice(choice: EpsilonChoice | None, baseline: str) -> list[str]:
    if choice is None:
        return ["Too few seeds or segments, or incomplete seeds, to choose epsilon on some and report on others."]
    chosen = ", ".join(f"{epsilon:g}" for epsilon in choice.chosen)
    scope = "" if choice.speaks_of_segments else ", an interval over seeds alone"
    return [
        f"Epsilon chosen on half of the seeds and half of the segments, four times: {chosen}; there it gained "
        f"{choice.chosen_gain:+.2f} over {baseline}, on seeds and segments not looked at {format_gain(choice.gain)} "
        f"points (p = {format_p(float(choice.gain.p))}{scope})."
    ]


def _describe_exploration(metrics: DetectorMetrics, adjusted_p: Mapping[tuple[str, str], AdjustedP]) -> list[str]:
    tested = {pair: p for pair, p in adjusted_p.items() if not math.isnan(p.over_everything)}
    if not tested:
        return []
    different = [pair for pair, p in tested.items() if p.over_everything <= LEVEL]
    claims = [metrics.compare_arm(arm, TableCell(name, *metrics.ranking)).claim for arm, name in different]
    listed = [f"{arm} ({name.lower()} {format_gain(e)})" for (arm, name), e in zip(different, claims, strict=True)]
    family = f"{len(tested)} comparisons by class ({metrics.ranking}; Holm over all arms and classes)"
    lines = [
        f"Exploratory: {family} find {'; '.join(listed)}."
        if listed
        else f"Exploratory: {family} find nothing; each has its own error, so they see only large effects."
    ]
    if untested := list(dict.fromkeys(arm for arm, name in adjusted_p.keys() - tested.keys())):
        lines.append(f"Not tested, with {_TOO_FEW}: {', '.join(sorted(untested))}.")
    return lines


def describe_order_of_p(losses: Sequence[LossBehaviour], epsilons: Mapping[str, float]) -> list[str]:
    """Describe how p moves with epsilon, and what a settled training would show.

    The rule, with its derivation, is in docs/losses.md ("Where p settles").

    Args:
        losses: what the loss of each arm did.
        epsilons: of the arms that differ by epsilon alone, ascending.

    Returns:
        One sentence or none: there must be two such arms with logged P_t.
    """
    at_end = {one.arm: one.at_end for one in losses}
    right = next((name for name in ("p_t/peaks", "p_t/positives") if any(name in end for end in at_end.values())), "")
    ends = [at_end[arm] for arm in epsilons if right in at_end.get(arm, {})]
    if len(ends) < 2:
        return []
    peaks = [end[right] for end in ends]
    background = [1 - end["p_t/background"] for end in ends]
    shown = ", ".join(f"{p:.3f}/{q:.3f}" for p, q in zip(peaks, background, strict=True))
    part = right.removeprefix("p_t/")
    return [
        f"Mean p at {part}/on background at the end of training, epsilon ascending: {shown}; at {part} it "
        f"{_describe_trend(peaks)}, on background it {_describe_trend(background)}. In trainings that have settled "
        "epsilon moves p away from 1/2: as it rises, p rises in a cell whose chance of a peak, as the loss weighs it, "
        "is above 1/2, and falls in any other."
    ]


def _describe_trend(values: Sequence[float]) -> str:
    ascending = sorted(values)
    if list(values) == ascending:
        return "rises" if values[0] < values[-1] else "stays"
    return "falls" if list(values) == ascending[::-1] else "neither rises nor falls throughout"
