"""Bird's-eye pictures: their size, what is drawn where, and odd input."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.bev import draw_bev
from pcdet_poly.visualization.boxes import bev_corners
from pcdet_poly.visualization.palette import CLASS_COLOURS

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")


def labels(*boxes: tuple[float, ...], label: int = 0) -> GroundTruth:
    n = len(boxes)
    return GroundTruth(
        box=np.array(boxes, np.float32).reshape(n, 7),
        label=np.full(n, label),
        level=np.ones(n, np.int64),
        num_points=np.full(n, 9),
        track=np.array([""] * n),
        speed=np.zeros((n, 2), np.float32),
    )


def found(*boxes: tuple[float, ...], score: float = 0.9, label: int = 1) -> Detections:
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(n, 7), np.full(n, label), np.full(n, score, dtype=np.float32))


def draw_pixels(
    path: Path, points: np.ndarray, ground_truth: GroundTruth, detections: Detections, **options
) -> np.ndarray:
    """The drawn pixels, (H, W, 3) in [0, 1]."""
    draw_bev(path, points, ground_truth, detections, class_names=CLASSES, **options)
    return imread(path)[..., :3]


def mask_colour(pixels: np.ndarray, colour: str, tolerance: float = 0.06) -> np.ndarray:
    """Mask of the pixels in that colour, the legend's corner left out."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    mask = (np.abs(pixels - rgb) < tolerance).all(axis=-1)
    mask[: len(mask) // 5, len(mask) // 2 :] = False
    return mask


NO_POINTS = np.zeros((0, 5), np.float32)


@pytest.mark.parametrize("size_px", [300, 1200])
def test_picture_has_the_size_asked_for(tmp_path: Path, size_px: int) -> None:
    pixels = draw_pixels(tmp_path / "a.png", NO_POINTS, GroundTruth.empty(), Detections.empty(), size_px=size_px)
    assert pixels.shape == (size_px, size_px, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_points_boxes_and_titles_leave_ink(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-60, 60, (20_000, 5)).astype(np.float32)
    empty = draw_pixels(tmp_path / "0.png", NO_POINTS, GroundTruth.empty(), Detections.empty())
    with_points = draw_pixels(tmp_path / "1.png", points, GroundTruth.empty(), Detections.empty())
    with_title = draw_pixels(
        tmp_path / "2.png", NO_POINTS, GroundTruth.empty(), Detections.empty(), title="segment/1234"
    )
    assert (with_points != empty).any(axis=-1).mean() > 0.01
    assert (with_title != empty).any()


def test_detections_lie_where_their_box_is(tmp_path: Path) -> None:
    # Forward and left of the car: the right upper quarter; a picture's rows go down.
    box = (20.0, 10.0, 0.0, 8.0, 3.0, 2.0, 0.0)
    pixels = draw_pixels(
        tmp_path / "a.png", NO_POINTS, GroundTruth.empty(), found(box, label=0), limits=(-40, -40, 40, 40)
    )
    rows, columns = np.nonzero(mask_colour(pixels, CLASS_COLOURS[0]))
    height, width = pixels.shape[:2]
    assert len(rows) > 50
    assert columns.min() > 0.6 * width
    assert rows.max() < 0.5 * height
    assert np.ptp(columns) > 1.5 * np.ptp(rows), "length along x, width along y"


def test_labels_and_detections_keep_their_class_colours(tmp_path: Path) -> None:
    left, right = (-20.0, -20.0, 0.0, 9.0, 9.0, 2.0, 0.4), (15.0, -25.0, 0.0, 9.0, 9.0, 2.0, 2.0)
    pixels = draw_pixels(tmp_path / "a.png", NO_POINTS, labels(left, label=2), found(right, label=1))
    assert mask_colour(pixels, CLASS_COLOURS[2])[:, :600].sum() > 20
    assert mask_colour(pixels, CLASS_COLOURS[1])[:, 600:].sum() > 50


def test_weak_and_outside_boxes_are_left_out(tmp_path: Path) -> None:
    here, outside = (5.0, -5.0, 0.0, 4.0, 2.0, 2.0, 0.0), (90.0, 0.0, 0.0, 4.0, 2.0, 2.0, 0.0)
    none = draw_pixels(tmp_path / "0.png", NO_POINTS, GroundTruth.empty(), Detections.empty(), min_score=0.5)
    weak = draw_pixels(tmp_path / "1.png", NO_POINTS, labels(outside), found(here, score=0.4), min_score=0.5)
    strong = draw_pixels(tmp_path / "2.png", NO_POINTS, labels(outside), found(here, score=0.6), min_score=0.5)
    assert (weak == none).all()
    assert (strong != none).any()


def test_corners_equal_a_rotation_matrix_by_hand() -> None:
    rng = np.random.default_rng(3)
    boxes = rng.uniform(-5, 5, (20, 7))
    boxes[:, 3:6] = rng.uniform(0.5, 9, (20, 3))
    for box, corners in zip(boxes, bev_corners(boxes), strict=True):
        x, y, _, length, width, _, heading = box
        rotation = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
        own = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
        np.testing.assert_allclose(corners, own @ rotation.T + [x, y], atol=1e-9)


def test_drawing_works_in_another_thread_and_without_boxes(tmp_path: Path) -> None:
    arguments = (tmp_path / "t.png", NO_POINTS, GroundTruth.empty(), Detections.empty())
    thread = threading.Thread(target=draw_bev, args=arguments, kwargs={"class_names": CLASSES})
    thread.start()
    thread.join()
    assert imread(tmp_path / "t.png").std() > 0
