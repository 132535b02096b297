"""answers.csv as it is written and read, and the table of several studies."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pcdet_poly.commands.main import call_command
from pcdet_poly.errors import UserError
from pcdet_poly.experiments.report.detector_report import DetectorReport
from pcdet_poly.experiments.report.formats.answers_csv import (
    Answer,
    find_answers,
    format_answers_csv,
    format_answers_table,
    read_answers,
)
from pcdet_poly.experiments.report.gradient_sizes import ArmSize
from pcdet_poly.experiments.report.metrics import DetectorMetrics
from pcdet_poly.experiments.report.planned import answer_questions
from pcdet_poly.experiments.report.sentences.number_words import format_gain, format_p
from pcdet_poly.experiments.sweep.questions import Contrast, Questions
from tests.experiments.report.test_findings import find_one, find_sentences, make_study

CONTRASTS = (
    Contrast(name="harm | of drop1", weights={"drop1": 1, "focal": -1}),
    Contrast(name="nothing", weights={"epsilon1": 1, "focal": -1}),
)


SIZES = {"focal": ArmSize(0.8, False), "drop1": ArmSize(0.2, False)}


def write_answers(report: DetectorReport, made: DetectorMetrics, folder: Path) -> Path:
    """Write the answers of a made-up study."""
    folder.mkdir(parents=True)
    answered = replace(report, metrics=made, answers=answer_questions(made), sizes=SIZES)
    (folder / "answers.csv").write_text(format_answers_csv([answered]))
    return folder / "answers.csv"


@pytest.fixture
def made(metrics: DetectorMetrics) -> DetectorMetrics:
    """A study of five seeds with two contrasts."""
    found = make_study(metrics, 5)
    found.detector = replace(found.detector, questions=Questions(contrasts=CONTRASTS))
    return found


def test_what_is_written_is_read(small_report: DetectorReport, made: DetectorMetrics, tmp_path: Path) -> None:
    rows = read_answers(write_answers(small_report, made, tmp_path / "study"))
    answers = answer_questions(made)
    assert [row.metric for row in rows if row.kind == "equality"] == [one.metric for one in answers]
    assert {row.metric for row in rows if row.decides} == {answers[0].metric}
    main = [row for row in rows if row.decides]
    assert [row.kind for row in main] == ["equality", "contrast", "contrast", "arm", "arm"]
    for row, one in zip(main[1:3], answers[0].contrasts, strict=True):
        assert one.estimate is not None
        expected = (one.estimate.mean, one.estimate.low, one.estimate.high, one.p, one.detectable)
        assert row[7:-1] == pytest.approx([float(value) for value in expected], rel=1e-5)  # six digits are written
    assert main[1].size == main[3].size == pytest.approx(0.25)  # of drop1 and the baseline
    assert all(math.isnan(row.size) for row in (main[0], main[2], main[4]))
    assert {(row.model, row.classes, row.seeds) for row in rows} == {("tiny", "VEHICLE PEDESTRIAN CYCLIST", 5)}


def test_the_table_says_what_the_report_says(
    small_report: DetectorReport, made: DetectorMetrics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two studies, one by its sweep's folder and one by the file itself; a name is printed once."""
    write_answers(small_report, made, tmp_path / "first/report")
    second = write_answers(small_report, made, tmp_path / "second")
    assert call_command("answers", [str(tmp_path / "first"), str(second)]) == 0
    head, _, *lines = capsys.readouterr().out.splitlines()
    assert head == "| study | detector | metric | seeds | question | size | points | p | detectable |"
    harm, nothing = (one for one in answer_questions(made)[0].contrasts)
    start = "tiny | BEV LEVEL_1 AP, vehicle, pedestrian, cyclist | 5"
    end = f"| {format_gain(harm.estimate)} | {format_p(harm.p)} | {harm.detectable:.2f} |"
    assert lines[0] == f"| first | {start} | harm \\| of drop1 | 0.25 {end}"
    assert lines[1].startswith(f"|  |  |  |  | nothing |  | {format_gain(nothing.estimate)} | ")
    assert lines[2] == f"| second | {start} | harm \\| of drop1 | 0.25 {end}"
    assert len(lines) == 4
    sentence = find_one(find_sentences(made), "Planned: nothing")
    assert format_gain(nothing.estimate) in sentence
    assert f"one of {nothing.detectable:.2f} would be" in sentence


def test_all_answers(
    small_report: DetectorReport, made: DetectorMetrics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_answers(small_report, made, tmp_path / "study")
    assert call_command("answers", [str(tmp_path / "study"), "--all"]) == 0
    text = capsys.readouterr().out
    assert text.count("| all arms are equal |") == text.count("| drop1 - focal |") == 3
    assert "at a low IoU" in text


def test_two_seeds_have_no_p(small_report: DetectorReport, metrics: DetectorMetrics, tmp_path: Path) -> None:
    made = make_study(metrics, 2)
    made.detector = replace(made.detector, questions=Questions(contrasts=CONTRASTS[1:]))
    path = write_answers(small_report, made, tmp_path / "study")
    (row,) = (row for row in read_answers(path) if row.kind == "contrast" and row.decides)
    assert math.isnan(row.p)
    assert "nan" not in format_answers_table([path])
    assert "| not tested |" in format_answers_table([path])


def test_a_report_writes_them(finished_sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--resamples", "5", "--frames", "0", "--histogram-frames", "0"]
    assert call_command("report", [str(finished_sweep), "--output", str(tmp_path / "report"), *words]) == 0
    assert str(tmp_path / "report/answers.csv") in capsys.readouterr().out
    assert find_answers(tmp_path) == find_answers(tmp_path / "report") == tmp_path / "report/answers.csv"
    # Two epochs teach nothing.
    assert format_answers_table([find_answers(tmp_path)]).startswith(f"{tmp_path.name}: no answer; nothing was learnt")


GOOD = ",".join(["tiny", "BEV LEVEL_1 AP", "yes", "VEHICLE", "5", "contrast", "a", *["1"] * 6])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a report's table of answers; its columns are model, metric,"),
        ("model,arm\n", "not a report's table of answers"),
        (f"HEADS\n{GOOD}\n{GOOD[:-2]}\n", "line 3: 12 cells, 13 needed; write the report of the study again"),
        (f"HEADS\n{GOOD.replace('yes', 'perhaps')}\n", "line 2: decides = 'perhaps', yes or no needed"),
        (f"HEADS\n{GOOD.replace('contrast', 'guess')}\n", "line 2: kind = 'guess', one of equality, contrast,"),
        (f"HEADS\n{GOOD}x\n", "line 2: could not convert string to float: '1x'"),
        ("HEADS\n\x00\n", "answers.csv: "),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text.replace("HEADS", ",".join(Answer._fields)))
    with pytest.raises(UserError) as caught:
        read_answers(path)
    assert message in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no answers\.csv; write the report of the study \(again\)"):
        find_answers(tmp_path)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        find_answers(tmp_path / "nowhere")
