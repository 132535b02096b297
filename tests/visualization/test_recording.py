"""Recordings for Rerun: read back by Rerun's own reader; without rerun-sdk one line says what to install."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.errors import UserError
from pcdet_poly.visualization.palette import choose_class_colours, parse_rgb
from pcdet_poly.visualization.viewer.recording import write_recording
from tests.visualization.views import CLASSES, make_views

needs_rerun = pytest.mark.skipif(find_spec("rerun") is None, reason="rerun-sdk is not installed (the extra `rerun`)")


def read_rows(path: Path) -> dict[str, dict[int, dict[str, list]]]:
    """Entity -> frame -> column -> values."""
    from rerun.chunk import RrdReader

    rows: dict[str, dict[int, dict[str, list]]] = {}
    for chunk in RrdReader(path).stream().to_chunks():
        if "frame" in chunk.timeline_names:
            for row in chunk.to_record_batch().drop_columns(["log_time"]).to_pylist():
                rows.setdefault(chunk.entity_path, {})[row["frame"]] = row
    return rows


@needs_rerun
def test_rerun_reads_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    views = make_views(3, num_points=200)
    write_recording(tmp_path / "a.rrd", views, [2, 0])
    assert [path.name for path in tmp_path.iterdir()] == ["a.rrd"]
    rows = read_rows(tmp_path / "a.rrd")
    assert set(rows) == {"/frame_id", "/world/points", "/world/labels", "/world/detections", "/world/no_label_zones"}
    for of_frame in rows.values():
        assert set(of_frame) == {0, 2}
    assert rows["/frame_id"][2]["TextLog:text"] == [views.frame_ids[2]]
    for number in (0, 2):
        view = views.load_view(number)
        np.testing.assert_array_equal(rows["/world/points"][number]["Points3D:positions"], view.xyz)
        found = rows["/world/detections"][number]
        np.testing.assert_array_equal(found["Boxes3D:centers"], view.detections.box[:, :3])
        np.testing.assert_array_equal(found["Boxes3D:half_sizes"], view.detections.box[:, 3:6] / 2)
        assert found["Boxes3D:labels"] == ["pedestrian 0.90", "pedestrian 0.40"]
        turn = np.array(found["Boxes3D:quaternions"])  # x y z w
        np.testing.assert_array_equal(turn[:, :2], 0)
        half = view.detections.box[:, 6] / 2
        # Sines and cosines of one float32 angle, by two libraries: units in the last place.
        np.testing.assert_allclose(turn[:, 2:], np.stack([np.sin(half), np.cos(half)], 1), rtol=1e-6)
        red, green, blue = parse_rgb(choose_class_colours(CLASSES)[1])
        assert found["Boxes3D:colors"] == [red << 24 | green << 16 | blue << 8 | 255] * 2
        assert rows["/world/labels"][number]["Boxes3D:labels"] == ["vehicle", "cyclist"]


@needs_rerun
def test_a_recording_of_frames_without_a_detector_has_no_detections(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.rrd", make_views(1, detects=False, num_points=50), [0])
    assert set(read_rows(tmp_path / "a.rrd")) == {
        "/frame_id",
        "/world/points",
        "/world/labels",
        "/world/no_label_zones",
    }


@needs_rerun
def test_zones_are_closed_lines_and_gone_in_the_next_frame(tmp_path: Path) -> None:
    zone = np.array([[0, 0], [4, 0], [4, 3]], np.float32)
    views = make_views(2, num_points=50)
    with_zone = replace(views, load_view=lambda i: replace(views.load_view(i), zones=(zone,) if i == 0 else ()))
    write_recording(tmp_path / "a.rrd", with_zone, [0, 1])
    first, second = (
        row["LineStrips3D:strips"] for row in read_rows(tmp_path / "a.rrd")["/world/no_label_zones"].values()
    )
    np.testing.assert_array_equal(first, [[[0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 0, 0]]])
    assert second == []


def test_without_the_library_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(UserError, match=r"^--rerun: Rerun is not installed; run: pip install 'rerun-sdk==[\d.]+'$"):
        write_recording(tmp_path / "a.rrd", make_views(1), [0])
    assert list(tmp_path.iterdir()) == []
