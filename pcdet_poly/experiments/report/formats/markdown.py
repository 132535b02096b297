"""Results as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence

import numpy as np

from pcdet_poly.experiments.report.detector_report import Result, described
from pcdet_poly.experiments.report.findings import name_of
from pcdet_poly.experiments.report.finished_sweep import Study
from pcdet_poly.experiments.report.formats.paper_results import PAPER, PaperRow
from pcdet_poly.experiments.report.metrics import Difference, Numbers


def markdown(study: Study, results: Sequence[Result]) -> str:
    """The whole report."""
    blocks = [f"# {study.name}", left_out(study), *(_of_model(study, result) for result in results)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def left_out(study: Study) -> str:
    """The trials that are in no number, each with its reason."""
    if not study.excluded:
        return f"All {study.num_trials} trials are in the numbers."
    lines = [f"- **{one.trial}**: {one.reason}" for one in study.excluded]
    return "\n".join([f"{len(lines)} of {study.num_trials} trials are in no number:", "", *lines])


def _of_model(study: Study, result: Result) -> str:
    blocks = [
        f"## {result.model.name}",
        described(study, result) + ".",
        "\n".join(f"- {line}" for line in result.findings),
        "### AP/APH, mean over seeds (sd), per cent",
        _paper_layout(result),
        f"### Difference from {result.model.baseline}, {name_of(result.numbers.main)}, points",
        _differences(result),
        f"![Differences with 95 % intervals]({figure_name(result)})",
        "### What the loss did",
        _behaviours(result),
    ]
    return "\n\n".join(blocks)


def figure_name(result: Result) -> str:
    """File of the figure of differences, beside report.md."""
    return f"differences_{result.model.name}.png"


def _paper_layout(result: Result) -> str:
    numbers = result.numbers
    columns = [(part, level) for part in numbers.parts for level in numbers.levels]
    head = ["class", "method", *(f"{part} L{level}" for part, level in columns)]
    rows = []
    for kind in numbers.shown:
        rows += [[kind.lower(), arm, *(_ap_aph(numbers, arm, kind, *c) for c in columns)] for arm in result.arms]
        rows += [
            [kind.lower(), f"*paper: {row.method}*", *(_paper_cell(row, c) for c in columns)]
            for row in PAPER
            if row.kind == kind
        ]
    return table(head, rows)


def _ap_aph(numbers: Numbers, arm: str, kind: str, part: str, level: int) -> str:
    return "/".join(_mean_sd(numbers.values(arm, (kind, part, level, metric))) for metric in ("ap", "aph"))


def _mean_sd(values: np.ndarray) -> str:
    sd = f" ({values.std(ddof=1):.1f})" if len(values) > 1 else ""
    return f"{values.mean():.1f}{sd}"


def _paper_cell(row: PaperRow, column: tuple[str, int]) -> str:
    ap, aph = row.cells.get(column, (None, None))
    return "" if ap is None else f"{ap:.1f}/{'' if aph is None else f'{aph:.1f}'}"


def _differences(result: Result) -> str:
    p = ("p", "p (Holm)", "p (Holm, all)")
    head = ["arm", "class", "pairs", "over seeds", "over segments", "over both", *p, "detectable"]
    in_order = sorted(result.main_differences(), key=lambda one: result.arms.index(one.arm))
    notes = (
        "95 % intervals. Over seeds: other seeds on these segments. Over segments: these networks on other segments. "
        "Over both: what a claim needs, and what p is of. Holm: corrected over the arm's classes, or over all arms and "
        "classes. Detectable: the smallest true difference that so many seeds find with 80 % power."
    )
    return f"{table(head, [_difference(result, one) for one in in_order])}\n\n{notes}"


def _difference(result: Result, one: Difference) -> list[str]:
    p = result.corrected.get((one.arm, one.cell[0]))
    adjusted = (p.over_classes, p.over_everything) if p else (math.nan, math.nan)
    numbers = [_number(value, ".3f") for value in (float(one.claim.p), *adjusted)]
    start = [one.arm, one.cell[0].lower(), str(len(one.seeds))]
    return [*start, *_intervals(one), *numbers, _number(one.detectable, ".2f")]


def _intervals(one: Difference) -> Iterator[str]:
    for e in (one.over_seeds, one.over_segments, one.over_both):
        yield f"{float(e.mean):+.2f}" + ("" if np.isnan(e.low) else f" [{float(e.low):+.2f}, {float(e.high):+.2f}]")


def _behaviours(result: Result) -> str:
    names = list(dict.fromkeys(name for one in result.loss for name in one.at_end))
    head = ["arm", *names, "calibration error"]
    rows = [
        [
            one.arm,
            *(_number(one.at_end.get(name, math.nan), ".3f") for name in names),
            f"{one.calibration_error:.3f}",
        ]
        for one in result.loss
    ]
    return (
        f"{table(head, rows)}\n\nMeans over seeds and the last fifth of the training; losses as weighted in the total."
    )


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def runs_csv(results: Sequence[Result]) -> str:
    """One line per run, class, part, level and metric."""
    lines: list[tuple[object, ...]] = [("model", "arm", "seed", "class", "part", "level", "metric", "points")]
    for result in results:
        for cell in result.numbers.cells():
            for arm in result.arms:
                values = result.numbers.values(arm, cell)
                seeds = result.model.runs[arm]
                lines += [(result.model.name, arm, s, *cell, f"{v:.6f}") for s, v in zip(seeds, values, strict=True)]
    return _csv(lines)


def differences_csv(results: Sequence[Result]) -> str:
    """One line per arm, class, part, level and metric."""
    limits = [f"{way}_{name}" for way in ("seeds", "segments", "both") for name in ("low", "high", "p")]
    where = ("model", "arm", "class", "part", "level", "metric")
    lines: list[tuple[object, ...]] = [(*where, "pairs", "difference", *limits, "detectable")]
    for result in results:
        lines += [(result.model.name, one.arm, *one.cell, *_flat(one)) for one in result.differences]
    return _csv(lines)


def _flat(one: Difference) -> list[str]:
    ways = (one.over_seeds, one.over_segments, one.over_both)
    numbers = [f"{float(value):.6g}" for e in ways for value in (e.low, e.high, e.p)]
    return [str(len(one.seeds)), f"{float(one.over_seeds.mean):.6f}", *numbers, f"{one.detectable:.6g}"]


def _csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
