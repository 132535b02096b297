"""The viewer: colours of points, the page's data, pictures, geometry of the window."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from pcdet_poly.errors import UserError
from pcdet_poly.structures import GroundTruth
from pcdet_poly.visualization.viewer.colours import (
    COLOUR_MODES,
    NO_COLOUR_CODE,
    build_palette,
    compute_colour_codes,
    detection_colours,
    label_colours,
)
from pcdet_poly.visualization.viewer.page import MOST_FRAMES, build_page
from pcdet_poly.visualization.viewer.pictures import draw_view, find_reach_m
from pcdet_poly.visualization.viewer.window import Window, build_geometries
from tests.visualization.views import CLASSES, make_frame, make_view, make_views


def read_data(text: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def unpack(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_points_take_the_class_of_the_detection_around_them_else_of_the_label() -> None:
    assert compute_colour_codes(make_view(), "class")[:3].tolist() == [1, 2, 1]
    assert compute_colour_codes(make_view(detects=False), "class")[:3].tolist() == [0, 2, NO_COLOUR_CODE]


def test_score_return_intensity_and_height_codes_by_hand() -> None:
    view, frame = make_view(), make_frame()
    assert compute_colour_codes(view, "score")[:3].tolist() == [round(0.9 * 254), NO_COLOUR_CODE, round(0.4 * 254)]
    np.testing.assert_array_equal(compute_colour_codes(view, "return"), frame.points[:, 6] - 1)
    np.testing.assert_array_equal(compute_colour_codes(view, "intensity"), np.round(np.tanh(frame.points[:, 3]) * 254))
    np.testing.assert_allclose(compute_colour_codes(view, "height"), (frame.points[:, 2] + 1) / 6 * 254, atol=0.51)


def test_frames_without_returns_or_intensity_have_colours_too() -> None:
    frame = make_frame()
    poor = replace(frame, points=frame.points[:, :3].copy(), columns=("x", "y", "z"))
    from pcdet_poly.visualization.viewer.view import build_view

    view = build_view(poor, frame.ground_truth, None, CLASSES, min_score=0.3)
    assert (compute_colour_codes(view, "return") == NO_COLOUR_CODE).all()
    assert (compute_colour_codes(view, "intensity") == 0).all()
    assert (compute_colour_codes(view, "score") == NO_COLOUR_CODE).all()


@pytest.mark.parametrize("mode", COLOUR_MODES)
def test_palettes_have_a_colour_for_every_code_and_ramps_get_brighter(mode: str) -> None:
    colours = build_palette(mode)
    assert colours.shape == (256, 3)
    if mode in ("score", "intensity", "height"):
        assert colours[254].sum() > colours[127].sum() > colours[0].sum()
        assert len(np.unique(colours[:255], axis=0)) > 120


def test_boxes_are_coloured_by_class_or_by_score() -> None:
    view = make_view()
    assert (label_colours(view, "height")[0] == build_palette("class", CLASSES)[0]).all()
    assert (detection_colours(view, "class") == build_palette("class", CLASSES)[1]).all()
    strong, weak = detection_colours(view, "score").sum(axis=1)
    assert strong > weak
    assert len(np.unique(label_colours(view, "score"), axis=0)) == 1


def test_weak_detections_are_no_part_of_a_view() -> None:
    from pcdet_poly.visualization.viewer.view import build_view
    from tests.visualization.views import detections, labels

    view = build_view(make_frame(), labels(), detections(), CLASSES, min_score=0.5)
    assert view.detections is not None
    assert view.detections.score.tolist() == [pytest.approx(0.9)]


def test_page_holds_points_codes_and_boxes() -> None:
    views = make_views(2)
    data = read_data(build_page(views, [1, 0], mode="score", min_score=0.3))
    assert [frame["id"] for frame in data["frames"]] == [views.frame_ids[1], views.frame_ids[0]]
    assert (data["mode"], data["classes"], data["detects"]) == ("score", list(CLASSES), True)
    view, frame = views.load_view(1), data["frames"][0]
    # m: the page has whole centimetres, and float32 rounds.
    np.testing.assert_allclose(unpack(frame["points"], "<i2").reshape(-1, 3) / 100, view.xyz, atol=0.00501)
    assert set(frame["codes"]) == set(COLOUR_MODES) - {"height"}, "the page sees the height itself"
    for mode, codes in frame["codes"].items():
        np.testing.assert_array_equal(unpack(codes, "u1"), compute_colour_codes(view, mode))
    for mode in COLOUR_MODES:
        np.testing.assert_array_equal(
            unpack(data["palettes"][mode], "u1").reshape(256, 3), build_palette(mode, CLASSES)
        )
    (_, _, _, *_, label, points), _ = frame["labels"]
    assert (label, points >= 1) == (0, True)
    # The page has three digits after the point.
    np.testing.assert_allclose(np.array(frame["detections"])[:, :7], view.detections.box, atol=1e-3)
    assert [row[9] for row in frame["detections"]] == [0.9, 0.4]


def test_codes_that_are_all_alike_are_one_number() -> None:
    data = read_data(build_page(make_views(1, detects=False), [0], mode="class", min_score=0.3))
    assert data["frames"][0]["codes"]["score"] == NO_COLOUR_CODE
    assert len(unpack(data["frames"][0]["codes"]["return"], "u1")) == 3000


def test_page_asks_for_nothing_from_elsewhere() -> None:
    text = build_page(make_views(1), [0], mode="class", min_score=0.3)
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)[^#]", text)
    assert not re.findall(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|import\(", text)
    assert "some &lt;run&gt; &lt;!--&lt;script&gt;" in text
    assert text.count("</script>") == 2, "names in the data cannot end the script"


def test_page_of_many_large_frames_stays_small() -> None:
    view = make_view(num_points=150_000)
    views = replace(make_views(40), load_view=lambda i: view)
    text = build_page(views, range(40), mode="class", min_score=0.3)
    assert 8e6 < len(text) < 15e6
    frame = read_data(text)["frames"][0]
    assert frame["total"] == 150_000
    assert 5_000 <= len(unpack(frame["points"], "<i2")) / 3 < 150_000


def test_page_refuses_more_frames_than_it_can_show() -> None:
    many = MOST_FRAMES + 1
    with pytest.raises(UserError, match=rf"--frames: {many} frames in one page; choose at most {MOST_FRAMES}"):
        build_page(make_views(many), range(many), mode="class", min_score=0.3)


def test_pictures_in_perspective_and_from_above(tmp_path: Path) -> None:
    both = draw_view(tmp_path / "a.png", make_view(), "height")
    assert both == (tmp_path / "a.png", tmp_path / "a_above.png")
    assert [imread(path).shape[:2] for path in both] == [(800, 1400), (1200, 1200)]
    empty = replace(make_view(detects=False), xyz=np.zeros((0, 3), np.float32), labels=GroundTruth.empty())
    empty = replace(empty, intensity=np.zeros(0, np.float32), return_number=np.zeros(0, np.int64))
    for path in draw_view(tmp_path / "b.png", empty, "class"):
        assert imread(path).std() > 0


def test_pictures_from_above_reach_as_far_as_the_frame() -> None:
    view = make_view()
    assert find_reach_m(view) == 40
    assert find_reach_m(replace(view, xyz=view.xyz / 20)) == 10
    assert find_reach_m(replace(view, xyz=view.xyz * 100)) == 100


def test_geometry_of_the_window() -> None:
    view = make_view()
    cloud, labels, detections = build_geometries(view, "return")
    np.testing.assert_allclose(np.asarray(cloud.points), view.xyz)
    np.testing.assert_allclose(
        np.asarray(cloud.colors) * 255, build_palette("return")[compute_colour_codes(view, "return")]
    )
    assert np.asarray(labels.lines).shape == (2 * 13, 2)
    points, lines = np.asarray(detections.points), np.asarray(detections.lines)
    lengths = np.linalg.norm(points[lines[:, 0]] - points[lines[:, 1]], axis=1)
    # m: distances of float32 corners, some roundings of 2e-7.
    np.testing.assert_allclose(sorted(lengths[:13]), sorted([4] * 4 + [2] * 9), atol=1e-5)
    assert len(build_geometries(view, "class", labels=False)) == 2
    assert len(build_geometries(make_view(detects=False), "class")) == 2
    assert len(build_geometries(replace(view, labels=GroundTruth.empty()), "class")) == 3


def test_keys_of_the_window_step_colour_and_hide(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[list] = []
    window = Window(make_views(3), [2, 0], "class", shown.append)
    window.step_frames(1)
    window.step_frames(1)
    window.step_frames(-1)
    assert window.view.frame_id == "seg</script>/0"
    window.switch_mode()
    window.toggle("detections")
    assert [len(parts) for parts in shown] == [3, 3, 3, 3, 2]
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == "2/2  seg</script>/0  colour: score  2 labels (dashed), 2 detections"
    )
    assert window.picture_path() == Path("seg__script__0.png")  # as Windows can write it, too
