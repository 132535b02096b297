"""The answers to the planned questions, in sentences that name their test and its family."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pcdet_poly.experiments.arm_tests import MIN_SEGMENTS, OWN_ERROR_FROM
from pcdet_poly.experiments.report.planned import Answers, ContrastAnswer
from pcdet_poly.experiments.report.sentences.number_words import format_gain, format_p
from pcdet_poly.experiments.statistics import LEVEL, MIN_SEEDS, Estimate

_TOO_FEW = f"fewer than {MIN_SEEDS} seeds"
_DOUBTS = {
    "worse": "NOT seen: a study that cannot see this cannot see what the other arms do either",
    "not worse": "NOT as expected: something is at work that this study does not control",
}


def describe_answers(
    answers: Sequence[Answers], baseline: str, num_incomplete: int, notes: Mapping[str, str]
) -> list[str]:
    """Describe the planned answers, those in the main metric first.

    Args:
        answers: in the main metric, then beside it; none where nothing can be asked.
        baseline: arm that the others are compared with.
        num_incomplete: arms without all of the baseline's seeds, of which planned questions are not asked.
        notes: a sentence for the answer to a planned contrast, by the contrast's name.

    Returns:
        Sentences in plain text.
    """
    if not answers:
        return [f"No arm has all seeds of {baseline}: no planned question is asked."]
    main, *beside = answers
    if main.table.num_seeds < MIN_SEEDS:
        return [f"With {_TOO_FEW} chance and effect cannot be told apart: nothing is tested, and nothing is claimed."]
    lines = [_describe_scope(main, num_incomplete), _describe_equality(main)]
    for one in main.contrasts:
        note = notes.get(one.question.name)
        lines.append(_describe_contrast(one, len(main.contrasts)) + (f" {note}" if note else ""))
    lines += [*_describe_trend(main), _describe_many(main, baseline), _describe_detectable(main)]
    return [*lines, *(_describe_beside(one, baseline) for one in beside)]


def _describe_scope(main: Answers, num_incomplete: int) -> str:
    table, names = main.table, [name.lower() for name in main.classes]
    of = f" of {names[0]}" if len(names) == 1 else f", mean over {', '.join(names[:-1])} and {names[-1]}"
    start = f"Main metric: {main.metric}{of}; {table.num_seeds} seeds of {len(main.arms)} arms."
    count = float(table.num_segments)
    scope = (
        "Answers are about other seeds and other segments."
        if table.speaks_of_segments
        else f"Answers are about other seeds on these segments alone: counted by their objects there are {count:.1f}, "
        f"and fewer than {MIN_SEGMENTS:g} do not show how others differ."
    )
    left_out = (
        f" Arms without all seeds, which are {num_incomplete}, are in no planned answer." if num_incomplete else ""
    )
    alike = (
        ""
        if table.num_seeds >= OWN_ERROR_FROM
        else f" With fewer than {OWN_ERROR_FROM} seeds a contrast has the larger of two errors, its own and that "
        "pooled over arms: the one may be small by luck, the other because its arms spread more than the rest."
    )
    return f"{start} {scope}{alike}{left_out}"


def _describe_equality(main: Answers) -> str:
    p = float(main.equality.p)
    if math.isnan(p):
        return "Whether all arms are equal is not tested: they spread unequally, and the joint test would err."
    first, second = (float(value) for value in main.equality.freedom)
    test = (
        f"F test of arm + seed, F({first:.0f}, {second:.0f}) = {float(main.equality.statistic):.2f}, p = {format_p(p)}"
    )
    verdict = "The arms are not all equal" if p <= LEVEL else "That all arms are equal is not refuted"
    return f"{verdict} ({test})."


def _describe_contrast(one: ContrastAnswer, num: int) -> str:
    weighted = " ".join(f"{weight:+g} x {arm}" for arm, weight in one.question.weights.items())
    start = f"Planned: {one.question.name} ({weighted}): "
    if one.estimate is None:
        return f"{start}not answered, an arm of it has not all seeds."
    family = f"p = {format_p(one.p)}" + (f", Holm over {num} planned contrasts" if num > 1 else "")
    verdict = (
        "an effect" if one.p <= LEVEL else f"no effect seen; one of {one.detectable:.2f} would be in 80 % of studies"
    )
    line = f"{start}{format_gain(one.estimate)} points, {family}: {verdict}."
    if one.question.expect is None:
        return line
    return f"{line} {_judge_control(one.estimate, one.question.expect)}"


def _judge_control(e: Estimate, expected: str) -> str:
    worse = bool(e.high < 0)
    verdict = "as expected" if worse == (expected == "worse") else _DOUBTS[expected]
    return f"It should be {expected}: {verdict}."


def describe_control(arm: str, expected: str, e: Estimate) -> str:
    """Describe whether a control shows what it must.

    Args:
        arm: its name.
        expected: "worse" or "not worse" than the baseline.
        e: its difference in the main metric.

    Returns:
        A sentence.
    """
    start = f"Control {arm} should be {expected}: {format_gain(e)}"
    if math.isnan(e.p):
        return f"{start}, which {_TOO_FEW} cannot judge."
    worse = bool(e.high < 0)
    return f"{start}, {'as expected' if worse == (expected == 'worse') else _DOUBTS[expected]}."


def _describe_trend(main: Answers) -> list[str]:
    trend = main.trend
    if trend is None:
        return []
    p = float(trend.slope.p)
    verdict = f"the metric {'rises' if trend.slope.mean > 0 else 'falls'} with it" if p <= LEVEL else "no slope is seen"
    return [
        f"Slope over {trend.setting} ({', '.join(trend.arms)}): {format_gain(trend.slope)} points per unit, one slope "
        f"per seed, p = {format_p(p)}: {verdict}."
    ]


def _name_test(main: Answers) -> str:
    """Name the test of single arms; with one arm there is nothing to correct for."""
    return main.many.method if len(main.many.arms) > 1 else "t test"


def _describe_many(main: Answers, baseline: str) -> str:
    many = main.many
    pairs = list(zip(many.arms, many.adjusted, strict=True))
    listed = [f"{main.arms[arm]} ({format_gain(e)}, p = {format_p(float(e.p))})" for arm, e in pairs if e.p <= LEVEL]
    test = _name_test(main) + (f" over {len(pairs)} arms" if len(pairs) > 1 else "")
    test += ", which spread unequally" if many.method == "Holm" and len(pairs) > 1 else ""
    if listed:
        return f"Different from {baseline} ({test}): {'; '.join(listed)}."
    return f"No single arm differs from {baseline} by more than chance explains ({test})."


def _describe_detectable(main: Answers) -> str:
    least, most, trend = min(main.detectable), max(main.detectable), main.trend
    many = f"{least:.2f}" if f"{least:.2f}" == f"{most:.2f}" else f"{least:.2f} to {most:.2f}"
    name = _name_test(main)
    test = "a t test" if name == "t test" else f"{name}'s test"
    parts = [f"{many} points of one arm's difference (by {test})"]
    if trend is not None and math.isfinite(trend.detectable):
        parts.append(f"a slope of {trend.detectable:.2f} per unit of {trend.setting}")
    return (
        f"Smallest true effects that these tests find with 80 % power: {', '.join(parts)}. Smaller ones that are not "
        "seen are not refuted."
    )


def _describe_beside(one: Answers, baseline: str) -> str:
    parts = [f"arms equal: p = {format_p(float(one.equality.p))}"]
    parts += [
        f"{answer.question.name} {format_gain(answer.estimate)}"
        for answer in one.contrasts
        if answer.estimate is not None
    ]
    if one.trend is not None:
        parts.append(f"slope {format_gain(one.trend.slope)}, p = {format_p(float(one.trend.slope.p))}")
    different = [one.arms[arm] for arm, e in zip(one.many.arms, one.many.adjusted, strict=True) if e.p <= LEVEL]
    parts.append(f"different from {baseline}: {', '.join(different) or 'none'}")
    return f"Beside it, not decisive, {one.metric}: {'; '.join(parts)}."
