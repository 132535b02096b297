"""The report in the order of the paper's table: its rows, its 3D part, its files, its command."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.main import main
from pcdet_poly.commands.studies import paper
from pcdet_poly.errors import UserError
from pcdet_poly.experiments import mnist_digits
from pcdet_poly.experiments.classification import data
from pcdet_poly.experiments.paper.compare import ComparedArm, ComparedStudy, compare_arms
from pcdet_poly.experiments.paper.detector_studies import find_runs_files, read_study_rows
from pcdet_poly.experiments.paper.markdown import TITLES, format_overview
from pcdet_poly.experiments.paper.page import build_page
from pcdet_poly.experiments.paper.published import PUBLISHED
from pcdet_poly.experiments.paper.rows import TASKS, PaperRow
from pcdet_poly.experiments.paper.sentences import describe_verdict, format_difference
from pcdet_poly.experiments.paper.write import write_report

ROOT = Path(__file__).resolve().parent.parent.parent.parent
STUDY = ComparedStudy("classification", "a network", "accuracy, %", "trials.csv", "Which?")
ROW = PaperRow(
    "masks", "a detector", "mask AR, %", "paper", "plain", 40.0, "eps = -1", 1.5, 0.5, 2.5, 0.01, 6, 1.2, "f.csv"
)  # fmt: skip


def write_runs(path: Path, values: dict[str, list[float]], *, level: str = "1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["model,arm,seed,class,part,level,metric,points"]
    for name in ("VEHICLE", "PEDESTRIAN"):
        for arm, points in values.items():
            lines += [f"slim,{arm},{seed},{name},3D,{level},ap,{value}" for seed, value in enumerate(points)]
            lines += [f"slim,{arm},{seed},{name},BEV,{level},ap,99" for seed in range(len(points))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_arms_are_compared_with_the_first() -> None:
    seeds = np.array([[50.0], [60.0], [90.0], [20.0]])  # their spread is in no interval
    points = seeds + np.array([0, 2.0, -1.0]) + 0.1 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 1, 1]])
    arms = [ComparedArm("plain"), ComparedArm("eps = 2", "paper", 2.0), ComparedArm("eps = -1", epsilon=-1.0)]
    better, worse = compare_arms(STUDY, arms, points)
    assert better.difference == pytest.approx(2.0, abs=0.051)
    assert 1.5 < better.low < better.difference < better.high < 2.5
    assert (better.arm, better.role, better.epsilon, better.num_seeds) == ("eps = 2", "paper", 2.0, 4)
    assert better.question == "Which?"
    assert describe_verdict(better) == "better"
    assert describe_verdict(worse) == "worse"
    unsure = compare_arms(STUDY, arms, points[:2])[0]
    assert all(math.isnan(value) for value in (unsure.low, unsure.p, unsure.detectable))
    assert describe_verdict(unsure) == "not tested: too few seeds"
    with pytest.raises(ValueError, match="one column each"):
        compare_arms(STUDY, arms[:2], points)


def test_what_was_not_seen_is_said_with_its_size() -> None:
    assert describe_verdict(replace(ROW, p=0.2)) == "not seen; 1.20 would be"
    assert format_difference(ROW) == "+1.50 [+0.50, +2.50]"
    assert format_difference(replace(ROW, low=math.nan)) == "+1.50"


def test_studies_of_detectors_become_rows(tmp_path: Path) -> None:
    values = {
        "eps-1": [29.0, 39.0, 49.2],
        "focal": [30.0, 40.0, 50.0],
        "eps-1-constant": [30.5, 40.4, 50.5],
        "eps2": [31.0, 41.1, 51.0],
        "half-rate": [20.0, 30.0, 40.0],
        "eps1": [31.0, 41.0],  # not finished
    }
    path = write_runs(tmp_path / "a_study/report/runs.csv", values)
    assert find_runs_files([tmp_path]) == [path]
    rows = read_study_rows(path)
    vehicles = {row.arm: row for row in rows if row.task == "vehicles"}
    assert vehicles.keys() == {"eps-1", "eps-1-constant", "eps2", "half-rate"}
    assert {row.arm: row.role for row in vehicles.values()} == {
        "eps-1": "paper", "eps-1-constant": "matched", "eps2": "other", "half-rate": "control",
    }  # fmt: skip
    assert vehicles["eps-1"].difference == pytest.approx((-1 - 1 - 0.8) / 3)
    assert vehicles["eps-1"].system == "detector slim, study a_study"
    assert [row.epsilon for row in vehicles.values()] == [-1, -1, 2, None]
    assert len([row for row in rows if row.task == "pedestrians"]) == 4
    assert read_study_rows(write_runs(tmp_path / "b/runs.csv", {"eps-1": [1, 2, 3]})) == []  # no focal loss
    assert read_study_rows(write_runs(tmp_path / "c/runs.csv", values, level="2")) == []


def test_a_table_of_something_else_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("seed,points\n0,1\n")
    with pytest.raises(UserError, match=r"runs\.csv: not a report's table of runs"):
        read_study_rows(tmp_path / "runs.csv")


def test_the_studies_that_come_with_the_project_are_read() -> None:
    rows = [row for path in find_runs_files([ROOT / "docs/studies"]) for row in read_study_rows(path)]
    assert {row.task for row in rows if row.role == "paper"} == {"vehicles", "pedestrians"}
    assert all(math.isfinite(row.detectable) for row in rows)


def test_the_overview_has_the_papers_rows_above_ours() -> None:
    rows = [ROW, replace(ROW, role="matched", arm="matched"), replace(ROW, role="other", arm="another")]
    lines = format_overview(rows, ["masks"]).splitlines()
    assert "| *paper:* Mask R-CNN, COCO | mask AR, % | 42.3 | eps = -1 | +2.1 | 1 |  |" in lines[2]
    assert "a detector | mask AR, % | 40.00 | eps = -1 | +1.50 [+0.50, +2.50] | 6 | better |" in lines[3]
    assert "matched" in lines[4]
    assert len(lines) == 5  # what is no epsilon of the paper's stands below
    assert [one.task for one in PUBLISHED] == sorted((one.task for one in PUBLISHED), key=TASKS.index)


def test_the_report_has_every_task_in_the_papers_order(tmp_path: Path) -> None:
    rows = [replace(ROW, task=task, system=f"<{task}>", question="Why?") for task in reversed(TASKS)]
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/notes.md").write_text("What *was* done | so.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    for path in write_report(tmp_path, rows, quick=True):
        assert path.stat().st_size > 0
    text = (tmp_path / "paper.md").read_text()
    assert text.startswith("# The paper's systems at a small scale, quick\n")
    places = [text.index(f"## {title}\n") for title in TITLES.values()]
    assert places == sorted(places)
    assert "| 1 | 2 |" in text
    page = (tmp_path / "paper.html").read_text()
    assert '<img alt="Differences with 95 % intervals" src="data:image/png;base64,iVBOR' in page
    assert "&lt;masks&gt;" in page
    assert "<td>1</td><td>2</td>" in page
    assert "<em>was</em> done | so." in page
    with open(tmp_path / "rows.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["task"] for line in table] == list(reversed(TASKS))
    assert (table[0]["difference"], table[0]["epsilon"]) == ("1.5", "")
    assert "<svg" in (tmp_path / "differences.svg").read_text()


def test_a_page_marks_nothing_else(tmp_path: Path) -> None:
    page = build_page("# A & B\n\nfrom `a*b*c.csv`: 2 * 3 * 4\n", tmp_path)
    assert "<h1>A &amp; B</h1>" in page
    assert "2 * 3 * 4" in page


def test_command_on_studies_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path / "studies/one/runs.csv", {"focal": [30, 40, 50], "eps-1": [31, 42, 50]})
    words = [
        "--parts",
        "pedestrians,vehicles",
        "--studies",
        str(tmp_path / "studies"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(["paper", *words]) == 0
    printed = capsys.readouterr().out.split()
    assert str(tmp_path / "out/paper.md") in printed
    assert "study one" in (tmp_path / "out/paper.md").read_text()


def test_command_without_studies_runs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[list[str]] = []

    def run_step(words: list[str]) -> int:
        steps.append(words)
        if words[0] == "report":
            write_runs(Path(words[1]) / "report/runs.csv", {"focal": [30, 40, 50], "eps-1": [31, 42, 50]})
        return 0

    monkeypatch.setattr(paper, "run_step", run_step)
    monkeypatch.chdir(tmp_path)
    assert main(["paper", "--parts", "vehicles", "--quick"]) == 0
    assert [step[0] for step in steps] == ["simulate"] * 2 + ["preprocess"] * 2 + ["sweep", "report"]
    assert steps[4][-2:] == ["--first-seeds", "3"]
    stores = [step[step.index("--output") + 1] for step in steps if step[0] == "preprocess"]
    assert all(any(str(tmp_path / store) in word for word in steps[4]) for store in stores)  # trained on what was made
    assert "study paper" in (tmp_path / "paper/paper.md").read_text()
    monkeypatch.setattr(paper, "run_step", lambda words: 3)
    assert main(["paper", "--parts", "vehicles", "--output", "other"]) == 3


def test_a_missing_extra_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mnist_digits, "find_spec", lambda name: None)
    for cached in (mnist_digits.load_mnist_digits, data.load_small_digits):
        cached.cache_clear()
    assert main(["paper", "--parts", "classification", "--output", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert told == "error: mlxtend is not installed; run: pip install 'pcdet_poly[images]'\n"
    assert not (tmp_path / "out").exists()


def test_the_command_loads_nothing_of_images_before_it_runs() -> None:
    code = "import sys, pcdet_poly.commands.studies.paper; print([name for name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    heavy = ("mlxtend", "sklearn", "torchvision", "faster_coco_eval", "pandas", "matplotlib", "torch", "scipy")
    assert [name for name in heavy if f"'{name}'" in loaded] == []


def test_a_page_takes_no_file_from_elsewhere(tmp_path: Path) -> None:
    """Notes in the folder may be a stranger's, and the page is passed on."""
    (tmp_path / "secret.png").write_text("secret")
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "notes.txt").write_text("no picture")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "notes.txt", "not-there.png"):
        assert "base64" not in build_page(f"![a]({name})\n", folder)
