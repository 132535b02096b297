"""What the report's command writes: Markdown, CSV, and a page that a browser draws without a network."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.commands.main import call_command
from pcdet_poly.experiments.report.detector_report import ReportSizes, build_reports
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns
from pcdet_poly.experiments.report.formats.differences_figure import draw_differences
from pcdet_poly.experiments.report.metrics import MEAN, DetectorMetrics, RankingMetric, TableCell
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep.folder import SweepFolder

MAIN = RankingMetric("3D", 2, "aph")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# What a hand on the mouse does: the cloud must look different afterwards.
TURN = """<script>
const cloud = document.getElementById("cloud");
const look = () => [...cloud.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()).join();
const before = look();
cloud.dispatchEvent(new PointerEvent("pointermove", { buttons: 1, movementX: 120, movementY: 30 }));
requestAnimationFrame(() => requestAnimationFrame(() => {
  document.documentElement.dataset.turned = look() !== before;
}));
</script>"""


def _rows(path: Path, **wanted: str) -> list[dict[str, str]]:
    """Lines of a CSV file that have the wanted values."""
    lines = csv.DictReader(io.StringIO(path.read_text()))
    return [line for line in lines if all(line[name] == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def written(finished_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes."""
    output = tmp_path_factory.mktemp("report")
    words = ["--resamples", "30", "--frames", "2", "--points", "500", "--histogram-frames", "2"]
    assert call_command("report", [str(finished_sweep), "--output", str(output), *words]) == 0
    return output


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
        metrics.get_points("drop1", TableCell("VEHICLE", "BEV", 1, "ap"))[1], abs=1e-6
    )
    assert len(_rows(written / "differences.csv")) == 2 * 4 * 2 * 2 * 2
    (one,) = _rows(written / "differences.csv", arm="drop1", **where, **{"class": MEAN})
    expected = metrics.compare_arm("drop1", TableCell(MEAN, "BEV", 1, "ap"))
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
        metrics.get_points("drop1", TableCell("VEHICLE", *MAIN)), rel=1e-4
    )
    points = np.frombuffer(base64.b64decode(shown["scenes"][0]["points"]), "<i2").reshape(-1, 3) / 100
    index = detector.labels.frame_ids.index(shown["scenes"][0]["frame"])
    cloud = detector.labels.read_frame(index).points[:, :3]
    distance = np.abs(points[:, None] - cloud[None]).max(2).min(1)
    assert distance.max() <= 0.0051  # whole centimetres


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
def test_a_browser_draws_the_page(written: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = (written / "report.html").read_text()
    # The page forbids every script but its own: without that rule ours may run.
    freed, num_rules = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert num_rules == 1
    (tmp_path / "page.html").write_text(freed + TURN)
    words += ["--virtual-time-budget=10000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run([CHROMIUM, *words], capture_output=True, text=True, timeout=120).stdout
    marks = dict(re.findall(r'data-(\w+)="([^"]*)"', dom[: dom.index("<head>")]))
    assert marks["errors"] == ""
    assert marks["ready"] == "yes"
    drawn = [int(count) for count in marks["drawn"].split(",")]
    assert len(drawn) == 3 + 1  # a picture of each arm, the 3D view
    assert min(drawn) > 200
    assert int(marks["charts"]) > 20
    assert marks["turned"] == "true"
    for text in ("Findings", "drop1", "paper: PointPillars, focal", "A frame in 3D"):
        assert text in dom


def test_the_figure_shows_every_arm(finished_sweep: Path) -> None:
    sizes = ReportSizes(resamples=30, histogram_frames=0, shown_frames=0, shown_points=0)
    (result,) = build_reports(read_finished_sweep(SweepFolder(finished_sweep)), sizes)
    panels = [axes for axes in draw_differences(result).axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["vehicle", "pedestrian", "cyclist", "mean over classes"]
    for axes, kind in zip(panels, [*result.detector.config.data.classes, MEAN], strict=True):
        assert [text.get_text() for text in axes.get_xticklabels()] == result.arms
        drawn = {float(y) for line in axes.lines if line.get_marker() == "o" for y in line.get_ydata()}
        means = {float(one.claim.mean) for one in result.list_ranking_differences() if one.cell[0] == kind}
        assert drawn == means | {0.0}
