"""The answers of a study as answers.csv, and those of several studies as one table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from pcdet_poly.errors import UserError, suggest_path
from pcdet_poly.evaluation.table_text import format_markdown_table
from pcdet_poly.experiments.report.gradient_sizes import compare_sizes
from pcdet_poly.experiments.report.sentences.number_words import format_gain, format_p
from pcdet_poly.experiments.statistics import Estimate
from pcdet_poly.names.shown_names import escape_for_terminal

if TYPE_CHECKING:
    from pcdet_poly.experiments.report.detector_report import DetectorReport
    from pcdet_poly.experiments.report.planned import Answers

NAME = "answers.csv"
Kind = Literal["equality", "contrast", "trend", "arm"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


class Answer(NamedTuple):
    """One answer, a line of answers.csv. Numbers that there are not, such as p of two seeds, are NaN."""

    model: str
    metric: str  # in words
    decides: bool  # whether it is the study's main metric
    classes: str  # those whose mean is taken, with spaces between them
    seeds: int
    kind: Kind
    question: str
    points: float  # of a trend: per unit of the setting
    low: float
    high: float
    p: float  # of contrasts adjusted by Holm's method, of arms by Dunnett's or Holm's; see the report
    detectable: float  # smallest true effect that is found with 80 % power
    size: float  # ratio of the gradient sizes that are compared, as the contrast weighs them

    @property
    def estimate(self) -> Estimate:
        """The number with its interval and p."""
        return Estimate(self.points, self.low, self.high, self.p)  # type: ignore[arg-type]


def format_answers_csv(reports: Sequence[DetectorReport]) -> str:
    """Write answers.csv: all answers in the main metric, then beside it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Answer._fields)
    for report in reports:
        for number, answers in enumerate(report.answers):
            for one in _list_answers(answers, report, decides=number == 0):
                numbers = [f"{float(value):.6g}" for value in one[7:]]
                writer.writerow([*one[:2], "yes" if one.decides else "no", *one[3:7], *numbers])
    return text.getvalue()


def _list_answers(answers: Answers, report: DetectorReport, *, decides: bool) -> Iterator[Answer]:
    baseline, sizes = report.detector.baseline, report.sizes
    start = (report.detector.name, answers.metric, decides, " ".join(answers.classes), answers.table.num_seeds)
    unknown = math.nan
    yield Answer(
        *start, "equality", "all arms are equal", unknown, unknown, unknown, float(answers.equality.p), unknown, unknown
    )
    for contrast in answers.contrasts:
        if (e := contrast.estimate) is not None:
            limits = (float(e.mean), float(e.low), float(e.high))
            ratio = compare_sizes(contrast.question.weights, sizes)
            yield Answer(*start, "contrast", contrast.question.name, *limits, contrast.p, contrast.detectable, ratio)
    if (trend := answers.trend) is not None:
        slope = _read_numbers(trend.slope)
        yield Answer(*start, "trend", f"slope over {trend.setting}", *slope, trend.detectable, unknown)
    many = answers.many
    for column, e, detectable in zip(many.arms, many.adjusted, answers.detectable, strict=True):
        arm = answers.arms[column]
        ratio = compare_sizes({arm: 1, baseline: -1}, sizes)
        yield Answer(*start, "arm", f"{arm} - {baseline}", *_read_numbers(e), float(detectable), ratio)


def _read_numbers(e: Estimate) -> tuple[float, float, float, float]:
    return float(e.mean), float(e.low), float(e.high), float(e.p)


def find_answers(folder: Path) -> Path:
    """Find answers.csv of a study, in the folder of its report or in the sweep's; the file itself will do, too.

    Raises:
        UserError: there is none.
    """
    for path in (folder, folder / NAME, folder / "report" / NAME):
        if path.is_file():
            return path
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder{suggest_path(str(folder))}")
    raise UserError(f"{folder}: no {NAME}; write the report of the study (again): pcdet-poly report SWEEP_DIR")


def read_answers(path: Path) -> list[Answer]:
    """Read the answers of a study.

    Args:
        path: answers.csv.

    Raises:
        UserError: the file is no such table.
    """
    again = "write the report of the study again"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            heads, *lines = list(csv.reader(file)) or [[]]
    except (ValueError, csv.Error) as error:  # no UTF-8, or a cell without an end
        raise UserError(f"{path}: not a table ({error}); {again}") from error
    if tuple(heads) != Answer._fields:
        columns = ", ".join(Answer._fields)
        raise UserError(f"{path}: not a report's table of answers; its columns are {columns}; {again}")
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            found.append(_read_line(line))
        except ValueError as error:
            raise UserError(f"{path}: line {number}: {error}; {again}") from error
    return found


def _read_line(line: Sequence[str]) -> Answer:
    if len(line) != len(Answer._fields):
        raise ValueError(f"{len(line)} cells, {len(Answer._fields)} needed")
    model, metric, decides, classes, seeds, kind, question, *numbers = line
    if decides not in ("yes", "no"):
        raise ValueError(f"decides = {decides!r}, yes or no needed")
    if kind not in _KINDS:
        raise ValueError(f"kind = {kind!r}, one of {', '.join(_KINDS)} needed")
    of_kind = _KINDS[_KINDS.index(kind)]
    return Answer(model, metric, decides == "yes", classes, int(seeds), of_kind, question, *map(float, numbers))


def format_answers_table(files: Sequence[Path], *, show_all: bool = False) -> str:
    """Lay the answers of several studies out as one Markdown table.

    Args:
        files: answers.csv of each.
        show_all: all answers in all metrics; else planned contrasts and trends in the metric that decides.

    Returns:
        The table; a name that is the same as in the row above is left out. Below it, the studies without an answer.

    Raises:
        UserError: a file is no such table.
    """
    heads = ["study", "detector", "metric", "seeds", "question", "size", "points", "p", "detectable"]
    rows, silent = [], []
    for path in files:
        study = _show(_name_study(path))
        shown = [one for one in read_answers(path) if show_all or (one.decides and one.kind in ("contrast", "trend"))]
        rows += [(study, _show(one.model), _show(_describe_metric(one)), *_format_numbers(one)) for one in shown]
        silent += [] if shown else [study]
    blocks = [format_markdown_table(heads, _drop_repeated(rows))] if rows else []
    return "\n\n".join(
        blocks + [f"{study}: no answer; nothing was learnt, or nothing was asked beforehand" for study in silent]
    )


def _name_study(path: Path) -> str:
    folder = path.absolute().parent
    return (folder.parent if folder.name == "report" else folder).name


def _show(name: str) -> str:
    return escape_for_terminal(name).replace("|", "\\|")


def _describe_metric(one: Answer) -> str:
    return f"{one.metric}, {', '.join(one.classes.lower().split())}"


def _format_numbers(one: Answer) -> tuple[str, str, str, str, str, str]:
    points = "" if one.kind == "equality" else format_gain(one.estimate)
    detectable = "" if math.isnan(one.detectable) else f"{one.detectable:.2f}"
    size = "" if math.isnan(one.size) else f"{one.size:.2f}"
    return str(one.seeds), _show(one.question), size, points, format_p(one.p), detectable


def _drop_repeated(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Leave out the first cells of each row that are those of the row above."""
    shown = [list(row) for row in rows[:1]]
    for above, row in pairwise(rows):
        same = next((k for k in range(4) if above[k] != row[k]), 4)
        shown.append([*[""] * same, *row[same:]])
    return shown
