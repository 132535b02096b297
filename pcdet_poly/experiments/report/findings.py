"""What the metrics allow to say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pcdet_poly.experiments.report.epsilon_choice import EpsilonChoice
from pcdet_poly.experiments.report.learning import describe_learning, list_learnt_classes
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour
from pcdet_poly.experiments.report.metrics import MEAN, AdjustedP, ArmDifference, DetectorMetrics, TableCell
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS, Estimate, count_required_pairs

_TARGET = 0.5  # points: about what the paper reports
_TOO_FEW = f"fewer than {MIN_SEEDS} seeds"
_DOUBTS = {
    "worse": "NOT seen: a study that cannot see this cannot see what the other arms do either",
    "not worse": "NOT as expected: something is at work that this study does not control",
}


def write_findings(
    metrics: DetectorMetrics,
    adjusted_p: dict[tuple[str, str], AdjustedP],
    choices: Sequence[EpsilonChoice],
    losses: Sequence[LossBehaviour],
    epsilons: Mapping[str, float],
) -> list[str]:
    """Write the findings as sentences.

    A study in which no class was learnt has no findings about its arms: where scores are near 0 their differences and
    spreads are small, too, and would look like precision.

    Args:
        metrics: of the detector's runs.
        adjusted_p: by arm and class, in the ranking metric.
        choices: of epsilon, on each half of the segments.
        losses: what the loss of each arm did.
        epsilons: of the arms that differ by epsilon alone, ascending.

    Returns:
        Sentences in plain text, the most important first.
    """
    order_of_p = describe_order_of_p(losses, epsilons)
    learning = describe_learning(metrics)
    if not list_learnt_classes(metrics):
        return [*learning, *order_of_p]
    means = metrics.compare_arms(TableCell(MEAN, *metrics.ranking))
    return [
        *_describe_differences(metrics, adjusted_p),
        *learning,
        *_describe_controls(metrics, means),
        *_describe_choices(choices, metrics.detector.baseline),
        *_describe_detectable(means),
        *order_of_p,
    ]


def _describe_differences(metrics: DetectorMetrics, adjusted_p: dict[tuple[str, str], AdjustedP]) -> list[str]:
    baseline = metrics.detector.baseline
    if not adjusted_p:
        return [f"No arm can be compared with {baseline}."]
    tested = {pair: p for pair, p in adjusted_p.items() if not math.isnan(p.over_everything)}
    if not tested:
        return [f"Arms with {_TOO_FEW} cannot tell chance from effect: no difference is tested, and none is claimed."]
    different = [pair for pair, p in tested.items() if p.over_everything <= LEVEL]
    claims = [metrics.compare_arm(arm, TableCell(name, *metrics.ranking)).claim for arm, name in different]
    listed = [f"{arm} ({name.lower()} {format_gain(e)})" for (arm, name), e in zip(different, claims, strict=True)]
    loose = sum(p.over_classes <= LEVEL < p.over_everything for p in tested.values())
    family = f"{len(tested)} comparisons ({metrics.ranking}; Holm over all arms and classes)"
    lines = [
        f"Different from {baseline} after correction for {family}: {'; '.join(listed)}."
        if listed
        else f"After correction for {family} no arm differs from {baseline} by more than chance explains."
    ]
    if loose:
        lines.append(f"{loose} more would pass if each arm were the only one tested: not enough for a claim.")
    if untested := list(dict.fromkeys(arm for arm, name in adjusted_p.keys() - tested.keys())):
        lines.append(f"Not tested, with {_TOO_FEW}: {', '.join(sorted(untested))}.")
    return lines


def _describe_controls(metrics: DetectorMetrics, means: Sequence[ArmDifference]) -> list[str]:
    lines = []
    for one in means:
        expected = metrics.detector.expected.get(one.arm)
        if expected is None:
            continue
        start = f"Control {one.arm} should be {expected}: {format_gain(one.claim)}"
        if math.isnan(one.claim.p):
            lines.append(f"{start}, which {_TOO_FEW} cannot judge.")
            continue
        worse = bool(one.claim.high < 0)
        verdict = "as expected" if worse == (expected == "worse") else _DOUBTS[expected]
        lines.append(f"{start}, {verdict}.")
    return lines


def _describe_choices(choices: Sequence[EpsilonChoice], baseline: str) -> list[str]:
    lines = []
    for half, choice in zip(("one half", "the other half"), choices, strict=False):
        start = f"Epsilon chosen on {half} of the segments: "
        if choice.held_out_gain is None:
            lines.append(f"{start}that of {baseline} itself, so there is no gain to report.")
        else:
            lines.append(
                f"{start}{choice.epsilon:g} ({choice.arm}), {choice.chosen_gain:+.2f} there; "
                f"on the segments not looked at {format_gain(choice.held_out_gain)} points."
            )
    return lines or ["Too few segments, or incomplete seeds, to choose epsilon on one half and report on the other."]


def _describe_detectable(means: Sequence[ArmDifference]) -> list[str]:
    known = [one for one in means if math.isfinite(one.detectable) and one.detectable > 0]
    if not known:
        return [f"Arms with {_TOO_FEW} say too little about the spread: no smallest detectable effect."]
    low, high = min(one.detectable for one in known), max(one.detectable for one in known)
    usual = sorted(known, key=lambda one: one.detectable)[len(known) // 2]
    sd = float((sum((d - float(usual.over_seeds.mean)) ** 2 for d in usual.by_seed) / (len(usual.seeds) - 1)) ** 0.5)
    points = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    return [
        f"Smallest true difference of the mean over classes that these seeds find with 80 % power: {points} "
        f"points. Smaller ones that are not seen are not refuted. To find {_TARGET:g} points at the "
        f"median arm's spread (paired sd {sd:.2f}) would take {count_required_pairs(sd, _TARGET)} seeds per arm."
    ]


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


def format_gain(e: Estimate) -> str:
    """Write a mean with its interval, or the mean alone where there is no interval: `+1.20 [+0.30, +2.10]`."""
    limits = "" if math.isnan(e.low) else f" [{float(e.low):+.2f}, {float(e.high):+.2f}]"
    return f"{float(e.mean):+.2f}{limits}"
