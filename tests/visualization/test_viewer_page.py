"""The viewer's page in headless Chromium: keys, buttons, what is drawn, what is asked for, accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chromium import CHROMIUM, Page
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.outcomes import judge_boxes
from pcdet_poly.structures import Detections
from pcdet_poly.visualization.viewer.colours import compute_colour_codes
from pcdet_poly.visualization.viewer.outcomes import list_cutoffs_from
from pcdet_poly.visualization.viewer.page import build_page
from pcdet_poly.visualization.viewer.view import View, build_view
from tests.accessibility import AXE, list_serious_issues
from tests.visualization.views import CLASSES, FALSE, FOUND, labels, make_frame, make_views

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page in")
ZONE = np.array([[-12, -12], [-2, -12], [-2, -2], [-12, -2]], np.float32)  # around FALSE


def make_judged_view(number: int) -> View:
    """A car found, one taken for a pedestrian, a cyclist missed, a false pedestrian in a no-label zone."""
    boxes = np.array([FOUND, FALSE, FOUND], np.float32)
    found = Detections(boxes, np.array([1, 1, 0]), np.array([0.9, 0.4, 0.6], np.float32))
    config = Config.model_validate({"data": {"classes": CLASSES}})
    outcomes = judge_boxes(found, labels(), config, cutoffs=list_cutoffs_from(0.3), zones=[ZONE])
    frame = make_frame(number)
    return build_view(frame, labels(), found, CLASSES, min_score=0.3, zones=[ZONE], outcomes=outcomes)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "page.html"
    views = replace(make_views(3), load_view=make_judged_view)
    path.write_text(build_page(views, [0, 1, 2], mode="class", min_score=0.3), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("profile"), width=1000, height=700) as page:
        yield page


@pytest.fixture
def page(browser: Page, file: Path) -> Page:
    """The page, opened anew."""
    browser.resize(1000, 700)
    browser.open(file, scheme="dark")
    return browser


def click(page: Page, selector: str) -> None:
    page.evaluate(f"document.querySelector({selector!r}).click()")


def test_the_page_is_drawn_without_errors_and_nothing_lies_over_its_bar(page: Page) -> None:
    assert page.evaluate("document.documentElement.dataset.errors") == ""
    assert int(page.evaluate("document.documentElement.dataset.drawn")) > 1000
    covered = """[...document.querySelectorAll('#bar button, #bar select, #bar input')].filter((one) => {
      const { x, y, width, height } = one.getBoundingClientRect();
      return !one.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }).map((one) => one.outerHTML)"""
    assert page.evaluate(covered) == []


def test_keys_turn_zoom_and_look_from_above(page: Page) -> None:
    start = page.evaluate("cloud.view")
    picture = page.evaluate("cloud.picture().toDataURL()")
    page.press("ArrowLeft")
    page.press("ArrowUp")
    page.press("+")
    seen = page.evaluate("cloud.view")
    assert seen["yaw"] > start["yaw"]
    assert seen["pitch"] > start["pitch"]
    assert seen["distance"] < start["distance"]
    assert page.evaluate("cloud.picture().toDataURL()") != picture
    page.press("t")
    assert page.evaluate("cloud.view.pitch") == pytest.approx(np.pi / 2)
    page.press("r")
    assert page.evaluate("cloud.view") == start


def test_keys_step_play_and_stop(page: Page) -> None:
    for key, frame in (("n", 1), ("n", 2), ("n", 0), ("p", 2)):
        page.press(key)
        assert page.evaluate("state.frame") == frame
    page.press(" ")
    page.wait_for("state.frame !== 2")
    assert page.evaluate("document.getElementById('play').getAttribute('aria-pressed')") == "true"
    page.press(" ")
    assert page.evaluate("state.timer") is None


def test_classes_labels_and_scores_are_filtered(page: Page) -> None:
    def boxes() -> int:
        return page.evaluate("cloud.boxes.length")

    assert boxes() == 5
    click(page, "[data-kind='1']")  # pedestrians
    assert (boxes(), page.evaluate("state.kinds.has(1)")) == (3, False)
    click(page, "[data-kind='1']")
    page.press("l")
    assert boxes() == 3
    page.evaluate("{ const s = document.getElementById('score'); s.value = 0.6; s.dispatchEvent(new Event('input')); }")
    assert boxes() == 2, "0.6 as a float32 reaches 0.6"
    page.evaluate(
        "{ const s = document.getElementById('score'); s.value = 0.61; s.dispatchEvent(new Event('input')); }"
    )
    assert boxes() == 1
    page.press("c")
    assert page.evaluate("state.mode") == "score"


def test_the_page_colours_by_height_as_pictures_do(page: Page) -> None:
    """To one of 254 steps: the page's points are whole centimetres, and a step is 6 m / 254, 2.4 cm."""
    codes = np.array(page.evaluate("[...decoded(data.frames[0]).bytes.height]"))
    assert np.abs(codes - compute_colour_codes(make_judged_view(0), "height").astype(int)).max() <= 1


def test_true_false_and_missed_follow_the_slider(page: Page) -> None:
    page.press("o")

    def counts() -> str:
        return page.evaluate("document.getElementById('counts').textContent")

    assert counts() == "1 true, 1 false, 1 missed", "the one in the zone is neither"
    assert page.evaluate("cloud.boxes.filter((one) => one.kind === 'ignored').length") == 1
    page.evaluate("{ const s = document.getElementById('score'); s.value = 0.7; s.dispatchEvent(new Event('input')); }")
    assert counts() == "0 true, 1 false, 2 missed"
    assert "no-label zone" in page.evaluate("document.getElementById('key').textContent")


def test_the_box_under_the_mouse_is_described(page: Page) -> None:
    page.press("t")
    u, v, _ = page.evaluate("cloud.projector(canvas.clientWidth, canvas.clientHeight)(-6, -6, 1)")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=u, y=v)
    page.wait_for("!document.getElementById('tip').hidden")
    assert page.evaluate("document.getElementById('tip').textContent").startswith(
        "pedestrian (detection)\nscore 0.400\n"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=300)
    page.wait_for("document.getElementById('tip').hidden")


def test_the_system_s_theme_is_taken_and_the_key_changes_it(browser: Page, file: Path) -> None:
    for scheme, other in (("light", "dark"), ("dark", "light")):
        browser.open(file, scheme=scheme)
        assert browser.evaluate("document.documentElement.dataset.theme") == scheme
        corner = "[...cloud.picture().getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3)]"
        ground = browser.evaluate(corner)
        browser.press("x")
        assert browser.evaluate("document.documentElement.dataset.theme") == other
        assert (sum(ground) > sum(browser.evaluate(corner))) == (scheme == "light")


def test_webgl_and_the_loop_draw_the_same_points(page: Page) -> None:
    """Both draw the same squares, at most a pixel apart: only those at the edges of the canvas or of others differ."""
    page.evaluate("cloud.boxes = []; cloud.zones = []; cloud.paintBy(null)")
    by_loop = page.evaluate("cloud.inked()")
    if not page.evaluate("(() => { cloud.paintBy(pointPainter(cloud.below)); return cloud.paint !== null; })()"):
        pytest.skip("this Chromium has no WebGL without a graphics card")
    page.evaluate("cloud.canvas.replaceWith(cloud.canvas = el('canvas'))")  # the loop's points lie on the old one
    assert page.evaluate("cloud.inked()") == pytest.approx(by_loop, rel=0.1)


def test_nothing_is_asked_for_and_the_policy_stops_what_would_be(page: Page, file: Path) -> None:
    assert set(page.list_requests()) == {file.resolve().as_uri()}
    stopped = """new Promise((done) => {
      document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
      fetch('https://elsewhere.invalid/').catch(() => 0);
    })"""
    assert page.evaluate(stopped) == "connect-src"


def test_on_a_narrow_screen_the_bar_is_one_row_that_scrolls(browser: Page, file: Path) -> None:
    browser.resize(400, 800)
    browser.open(file)
    size = "(({ offsetHeight, scrollWidth, clientWidth }) => [offsetHeight, scrollWidth, clientWidth])"
    bar = browser.evaluate(f"{size}(document.getElementById('bar'))")
    assert bar[0] < 60
    assert bar[1] > bar[2]
    assert browser.evaluate("document.documentElement.scrollWidth") == 400


@pytest.mark.skipif(AXE is None, reason="axe-core is not installed (requirements-dev.txt)")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing_serious(browser: Page, file: Path, scheme: str, width: int) -> None:
    browser.resize(width, 700)
    browser.open(file, scheme=scheme)
    browser.press("h")
    browser.press("o")
    assert list_serious_issues(browser) == []
