"""Bird's-eye pictures: their size, what is drawn where, and odd input."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from pcdet_poly.structures import Detections, GroundTruth
from pcdet_poly.visualization.bev import draw_bev
from pcdet_poly.visualization.boxes import bev_corners
from pcdet_poly.visualization.palette import THEMES, choose_class_colours, parse_rgb
from tests.tolerances import FLOAT64_CANCELLED

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
CLASS_COLOURS = choose_class_colours(CLASSES)


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
        np.testing.assert_allclose(corners, own @ rotation.T + [x, y], atol=FLOAT64_CANCELLED)


def test_zones_are_hatched_where_they_are(tmp_path: Path) -> None:
    zone = np.array([[20.0, 20.0], [60.0, 20.0], [60.0, 60.0], [20.0, 60.0]])
    arguments = (NO_POINTS, GroundTruth.empty(), Detections.empty())
    empty, zoned = (draw_pixels(tmp_path / f"{len(z)}.png", *arguments, zones=z) for z in ([], [zone]))
    changed = (empty != zoned).any(axis=-1)[240:]  # below the legend, which names the zone
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 500
    assert columns.min() > 600
    assert rows.max() < 240, "ahead and to the left: the right upper quarter"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_themes_have_their_ground(tmp_path: Path, theme: str) -> None:
    pixels = draw_pixels(tmp_path / "a.png", NO_POINTS, GroundTruth.empty(), Detections.empty(), theme=theme)
    np.testing.assert_allclose(pixels[5, 5], np.array(parse_rgb(THEMES[theme].ground)) / 255, atol=0.5 / 255)


@pytest.mark.parametrize(("suffix", "beginning"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_format_follows_the_name_and_the_bytes_are_the_same_again(
    tmp_path: Path, suffix: str, beginning: bytes
) -> None:
    box = (20.0, 10.0, 0.0, 8.0, 3.0, 2.0, 0.0)
    files = [tmp_path / f"{i}.{suffix}" for i in range(2)]
    for file in files:
        draw_bev(file, np.zeros((9, 5), np.float32), labels(box), found(box), class_names=CLASSES)
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(beginning)
    assert first == second


def read_legend(path: Path, ground_truth: GroundTruth, detections: Detections, **options) -> list[str]:
    """The texts of the legend."""
    with pytest.MonkeyPatch.context() as patch:
        kept = []
        patch.setattr(Axes, "legend", lambda self, *, handles, **look: kept.extend(one.get_label() for one in handles))
        draw_bev(path, NO_POINTS, ground_truth, detections, class_names=CLASSES, **options)
    return kept


def test_legend_says_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    car, person = (5.0, -5.0, 0.0, 4.0, 2.0, 2.0, 0.0), (9.0, 9.0, 0.0, 1.0, 1.0, 2.0, 0.0)
    path, none = tmp_path / "a.png", Detections.empty()
    assert read_legend(path, GroundTruth.empty(), none) == []
    assert read_legend(path, labels(car, car), none) == ["V  vehicle: 2 labelled", "label"]
    assert read_legend(path, labels(car), found(person)) == [
        "V  vehicle: 1 labelled",
        "P  pedestrian: 1 detected",
        "label",
        "detection, with its score",
    ]
    assert read_legend(path, GroundTruth.empty(), found(person), min_score=0.3)[-1] == "detection, score 0.30 or more"


def test_drawing_works_in_another_thread_and_without_boxes(tmp_path: Path) -> None:
    arguments = (tmp_path / "t.png", NO_POINTS, GroundTruth.empty(), Detections.empty())
    thread = threading.Thread(target=draw_bev, args=arguments, kwargs={"class_names": CLASSES})
    thread.start()
    thread.join()
    assert imread(tmp_path / "t.png").std() > 0
