"""What the report's command writes: Markdown, CSV, and a page that a browser draws without a network."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.chromium import CHROMIUM, Page
from pcdet_poly.commands.main import call_command
from pcdet_poly.experiments.figures import MARKERS
from pcdet_poly.experiments.report.detector_report import ReportSizes, build_reports
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.formats.differences_figure import draw_differences
from pcdet_poly.experiments.report.metrics import MEAN, DetectorMetrics, RankingMetric, TableCell
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep.folder import SweepFolder
from tests.accessibility import AXE, list_serious_issues

MAIN = RankingMetric("3D", 2, "aph")


def _rows(path: Path, **wanted: str) -> list[dict[str, str]]:
    """Lines of a CSV file that have the wanted values."""
    lines = csv.DictReader(io.StringIO(path.read_text()))
    return [line for line in lines if all(line[name] == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def written(finished_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes."""
    output = tmp_path_factory.mktemp("report")
    words = ["--resamples", "30", "--frames", "2", "--points", "500", "--histogram-frames", "2"]
    words += ["--picture-format", "pdf,svg"]
    assert call_command("report", [str(finished_sweep), "--output", str(output), *words]) == 0
    return output


def test_figures_are_written_in_the_formats_asked_for(written: Path) -> None:
    """An SVG stands alone: letters are outlines in the file, beside the text as a comment. The PNG is report.md's."""
    (png,) = written.glob("differences_*.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    text = png.with_suffix(".svg").read_text()
    for arm in ("focal", "drop1", "epsilon1"):
        assert f"<!-- {arm} -->" in text
    own = {f"#{name}" for name in re.findall(r'id="([^"]*)"', text)}
    assert set(re.findall(r'(?:href|src)="([^"]*)"', text)) <= own


def test_markdown_and_csv(written: Path, metrics: DetectorMetrics) -> None:
    text = (written / "report.md").read_text()
    assert "All 6 trials are in the numbers." in text
    assert "| vehicle | *paper: PointPillars, focal* | 82.5/81.5 | 73.9/72.9 | 63.3/62.7 | 55.2/54.7 |" in text
    (figure,) = re.findall(r"!\[.+\]\((differences_.+\.png)\)", text)
    assert (written / figure).read_bytes().startswith(b"\x89PNG")
    assert len(_rows(written / "runs.csv")) == 3 * 2 * 4 * 2 * 2 * 2  # arms, seeds, classes, parts, levels, metrics
    where = {"part": "BEV", "level": "1", "metric": "ap"}
    (run,) = _rows(written / "runs.csv", arm="drop1", seed="1", **where, **{"class": "VEHICLE"})
    assert float(run["points"]) == pytest.approx(
        metrics.get_points("drop1", TableCell("VEHICLE", "BEV", 1, "ap"))[1],
        abs=1e-6,  # the table has six digits after the point
    )
    assert len(_rows(written / "differences.csv")) == 2 * 4 * 2 * 2 * 2
    (one,) = _rows(written / "differences.csv", arm="drop1", **where, **{"class": MEAN})
    expected = metrics.compare_arm("drop1", TableCell(MEAN, "BEV", 1, "ap"))
    # The table has at least five digits.
    assert float(one["seeds_low"]) == pytest.approx(float(expected.over_seeds.low), rel=1e-4)


def _data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_stands_alone(written: Path) -> None:
    path = written / "report.html"
    page = path.read_text()
    assert path.stat().st_size < 15e6
    addresses = set(re.findall(r"""https?://[^\s"'`)<]+""", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"""<(link|script|img|iframe)[^>]+(src|href)=["'](?!data:)""", page)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(|@import", page)
    assert "/*" + "DATA*/" not in page


def test_the_page_holds_the_numbers(written: Path, detector: DetectorRuns, metrics: DetectorMetrics) -> None:
    (shown,) = _data((written / "report.html").read_text())["models"]
    assert shown["values"]["VEHICLE|3D|2|aph"]["drop1"] == pytest.approx(
        metrics.get_points("drop1", TableCell("VEHICLE", *MAIN)),
        rel=1e-4,  # the page has five digits
    )
    points = np.frombuffer(base64.b64decode(shown["scenes"][0]["points"]), "<i2").reshape(-1, 3) / 100
    index = detector.labels.frame_ids.index(shown["scenes"][0]["frame"])
    cloud = detector.labels.read_frame(index).points[:, :3]
    distance = np.abs(points[:, None] - cloud[None]).max(2).min(1)
    assert distance.max() <= 0.0051  # whole centimetres


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine to open the page in")
    with Page(tmp_path_factory.mktemp("profile"), width=1280, height=900) as page:
        yield page


def test_a_browser_draws_the_page(browser: Page, written: Path) -> None:
    file = written / "report.html"
    browser.open(file)
    marks = browser.evaluate("({ ...document.documentElement.dataset })")
    assert marks["errors"] == ""
    drawn = [int(count) for count in marks["drawn"].split(",")]
    assert len(drawn) == 3 + 1  # a picture of each arm, the 3D view
    assert min(drawn) > 200
    assert int(marks["charts"]) > 20
    text = browser.evaluate("document.body.textContent")
    for part in ("Findings", "drop1", "paper: PointPillars, focal", "A frame in 3D"):
        assert part in text
    assert set(browser.list_requests()) == {file.resolve().as_uri()}


def test_the_report_s_cloud_turns_and_its_frames_play(browser: Page, written: Path) -> None:
    browser.open(written / "report.html")
    look = "[...document.querySelectorAll('#cloud canvas')].map((one) => one.toDataURL()).join()"
    before = browser.evaluate(look)
    browser.evaluate("document.getElementById('cloud').focus()")
    browser.press("ArrowLeft")
    browser.wait_for(f"{look} !== {json.dumps(before)}")
    pressed = "document.querySelector('[data-scene][aria-pressed=true]').dataset.scene"
    assert browser.evaluate(pressed) == "0"
    browser.evaluate("document.querySelector('.play').click()")
    browser.wait_for(f"{pressed} === '1'")
    browser.evaluate("document.querySelector('.play').click()")
    assert browser.evaluate("document.querySelector('.play').getAttribute('aria-pressed')") == "false"


def test_classes_are_hidden_from_tables_curves_and_pictures(browser: Page, written: Path) -> None:
    browser.open(written / "report.html")
    count = """({
      rows: document.querySelectorAll('#paper-table tr').length,
      panels: document.querySelectorAll('#epsilon-panels figure').length,
      curves: document.querySelectorAll('#pr-panels figure').length,
      text: document.getElementById('cloud-counts').textContent,
    })"""
    whole = browser.evaluate(count)
    browser.evaluate("document.querySelector('[data-class=VEHICLE]').click()")
    less = browser.evaluate(count)
    assert (whole["panels"], less["panels"], whole["curves"], less["curves"]) == (4, 3, 3, 2)
    assert less["rows"] < whole["rows"]
    numbers = [sum(map(int, re.findall(r"\d+", one["text"])[:2])) for one in (whole, less)]
    assert numbers[1] == numbers[0] - 2, "two of the labels are vehicles, found or missed"
    browser.evaluate("document.querySelector('[data-class=VEHICLE]').click()")
    assert browser.evaluate(count) == whole


def test_arms_differ_by_marker_and_line_as_well_as_colour(browser: Page, written: Path) -> None:
    browser.open(written / "report.html")
    swatches = browser.evaluate("""[...document.querySelector('.legend').querySelectorAll('svg.swatch')].map((one) => [
      one.querySelector('path').getAttribute('d'), one.querySelector('line').getAttribute('stroke-dasharray'),
      getComputedStyle(one.querySelector('path')).fill])""")
    assert len(swatches) == 3
    for kind in zip(*swatches, strict=True):
        assert len(set(kind)) == 3


def test_light_and_dark_follow_the_system_and_a_button(browser: Page, written: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(written / "report.html", scheme=scheme)
        seen[scheme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen == {"light": "rgb(246, 248, 250)", "dark": "rgb(16, 21, 28)"}
    browser.evaluate("document.getElementById('theme').click()")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == seen["light"]


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed (requirements-dev.txt)")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing_serious_in_the_report(browser: Page, written: Path, scheme: str, width: int) -> None:
    browser.resize(width, 900)
    browser.open(written / "report.html", scheme=scheme)
    assert list_serious_issues(browser) == []


def test_the_figure_shows_every_arm(finished_sweep: Path) -> None:
    sizes = ReportSizes(resamples=30, histogram_frames=0, shown_frames=0, shown_points=0)
    (result,) = build_reports(read_finished_sweep(SweepFolder(finished_sweep)), sizes)
    panels = [axes for axes in draw_differences(result).axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["vehicle", "pedestrian", "cyclist", "mean over classes"]
    for axes, kind in zip(panels, [*result.detector.config.data.classes, MEAN], strict=True):
        assert [text.get_text() for text in axes.get_xticklabels()] == result.arms
        drawn = {float(y) for line in axes.lines if line.get_marker() in MARKERS for y in line.get_ydata()}
        means = {float(one.claim.mean) for one in result.list_ranking_differences() if one.cell[0] == kind}
        assert drawn == means | {0.0}
        shapes = {line.get_color(): line.get_marker() for line in axes.lines if line.get_marker() in MARKERS}
        assert set(shapes.values()) == {"o", "s"}, "epsilon arms and the baseline are circles, the control is none"
