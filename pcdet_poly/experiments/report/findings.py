"""What the numbers allow to say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pcdet_poly.experiments.report.epsilon_choice import Choice, epsilon_arms
from pcdet_poly.experiments.report.loss_behaviour import Behaviour
from pcdet_poly.experiments.report.metrics import MEAN, Corrected, Difference, Numbers
from pcdet_poly.experiments.statistics import LEVEL, Estimate, pairs_needed

_TARGET = 0.5  # points: about what the paper reports
_DOUBTS = {
    "worse": "NOT seen: a study that cannot see this cannot see what the other arms do either",
    "not worse": "NOT as expected: something is at work that this study does not control",
}


def findings(
    numbers: Numbers, corrected: dict[tuple[str, str], Corrected], choices: Sequence[Choice], loss: Sequence[Behaviour]
) -> list[str]:
    """Sentences in plain text, the most important first."""
    means = numbers.differences((MEAN, *numbers.main))
    return [
        *_differences(numbers, corrected),
        *_controls(numbers, means),
        *_choices(choices, numbers.model.baseline),
        *_detectable(numbers, means),
        *_order_of_p_t(numbers, loss),
    ]


def name_of(cell: tuple[str, int, str]) -> str:
    """`3D LEVEL_2 APH`."""
    part, level, metric = cell
    return f"{part} LEVEL_{level} {metric.upper()}"


def _differences(numbers: Numbers, corrected: dict[tuple[str, str], Corrected]) -> list[str]:
    baseline, metric = numbers.model.baseline, name_of(numbers.main)
    if not corrected:
        return [f"No arm can be compared with {baseline}."]
    if all(math.isnan(p.over_everything) for p in corrected.values()):
        return ["One seed per arm, and nothing else to tell chance from effect: no difference can be tested."]
    found = [place for place, p in corrected.items() if p.over_everything <= LEVEL]
    claims = [numbers.difference(arm, (kind, *numbers.main)).claim for arm, kind in found]
    named = [f"{arm} ({kind.lower()} {_signed(claim)})" for (arm, kind), claim in zip(found, claims, strict=True)]
    loose = sum(p.over_classes <= LEVEL < p.over_everything for p in corrected.values())
    family = f"{len(corrected)} comparisons ({metric}; Holm over all arms and classes)"
    first = (
        f"Different from {baseline} after correction for {family}: {'; '.join(named)}."
        if named
        else f"After correction for {family} no arm differs from {baseline} by more than chance explains."
    )
    rest = f"{loose} more would pass if each arm were the only one tested: not enough for a claim."
    return [first, rest] if loose else [first]


def _controls(numbers: Numbers, means: Sequence[Difference]) -> list[str]:
    lines = []
    for one in means:
        expected = numbers.model.expected.get(one.arm)
        if expected is None:
            continue
        if math.isnan(one.claim.p):
            lines.append(f"Control {one.arm} should be {expected}: {_signed(one.claim)}, which one seed cannot judge.")
            continue
        worse = bool(one.claim.high < 0)
        verdict = "as expected" if worse == (expected == "worse") else _DOUBTS[expected]
        lines.append(f"Control {one.arm} should be {expected}: {_signed(one.claim)}, {verdict}.")
    return lines


def _choices(choices: Sequence[Choice], baseline: str) -> list[str]:
    lines = []
    for half, choice in zip(("one half", "the other half"), choices, strict=False):
        start = f"Epsilon chosen on {half} of the segments: "
        if choice.unseen is None:
            lines.append(f"{start}that of {baseline} itself, so there is no gain to report.")
        else:
            lines.append(
                f"{start}{choice.epsilon:g} ({choice.arm}), {choice.seen:+.2f} there; "
                f"on the segments not looked at {_signed(choice.unseen)} points."
            )
    return lines or ["Too few segments, or incomplete seeds, to choose epsilon on one half and report on the other."]


def _detectable(numbers: Numbers, means: Sequence[Difference]) -> list[str]:
    known = [one for one in means if math.isfinite(one.detectable) and one.detectable > 0]
    if not known:
        return ["One seed per arm says nothing about the spread: no smallest detectable effect."]
    low, high = min(one.detectable for one in known), max(one.detectable for one in known)
    usual = sorted(known, key=lambda one: one.detectable)[len(known) // 2]
    sd = float((sum((d - float(usual.over_seeds.mean)) ** 2 for d in usual.by_seed) / (len(usual.seeds) - 1)) ** 0.5)
    points = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    return [
        f"Smallest true difference of the mean over classes that these seeds find with 80 % power: {points} "
        f"points. Smaller ones that are not seen are not refuted. To find {_TARGET:g} points at the "
        f"median arm's spread (paired sd {sd:.2f}) would take {pairs_needed(sd, _TARGET)} seeds per arm."
    ]


def _order_of_p_t(numbers: Numbers, loss: Sequence[Behaviour]) -> list[str]:
    """The check that even small studies pass: a larger epsilon lowers p everywhere."""
    at_end = {one.arm: one.at_end for one in loss}
    right = next((name for name in ("p_t/peaks", "p_t/positives") if any(name in end for end in at_end.values())), "")
    arms = [arm for arm in epsilon_arms(numbers.model) if right in at_end.get(arm, {})]
    if len(arms) < 2:
        return []
    peaks = [at_end[arm][right] for arm in arms]
    background = [1 - at_end[arm]["p_t/background"] for arm in arms]
    falls = peaks == sorted(peaks, reverse=True) and background == sorted(background, reverse=True)
    shown = ", ".join(f"{p:.3f}/{q:.3f}" for p, q in zip(peaks, background, strict=True))
    order = "both fall as epsilon rises" if falls else "they do NOT both fall as epsilon rises"
    where = f"{right.removeprefix('p_t/')}/on background"
    return [
        f"Mean p at {where} at the end of training, epsilon ascending: {shown}; {order}. "
        "In trainings that have settled they must."
    ]


def _signed(e: Estimate) -> str:
    """Mean and interval; the mean alone where there is no interval."""
    limits = "" if math.isnan(e.low) else f" [{float(e.low):+.2f}, {float(e.high):+.2f}]"
    return f"{float(e.mean):+.2f}{limits}"
