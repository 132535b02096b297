"""One simulated frame as a picture: from behind the car, from above, and as a range image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.files import atomic_path
from pcdet_poly.structures import WAYMO_CLASSES, GroundTruth
from pcdet_poly.visualization.boxes import EDGES, bev_corners, box_corners
from pcdet_poly.visualization.palette import DARK, choose_class_colours
from pcdet_poly.waymo import convert_range_images
from pcdet_poly.waymo.scan import Scan

_COLOURS = choose_class_colours(WAYMO_CLASSES)
_EYE_M = np.array([-14.0, 0.0, 9.0])  # vehicle frame
_TILT_RAD = 0.33  # downwards
_NEAR_M = 2.0


def draw_scan(scan: Scan, path: str | Path) -> None:
    """Write a PNG of `scan` with its labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    points = convert_range_images(scan, (1, 2))
    figure = plt.figure(figsize=(16, 15), layout="constrained")
    view, above, images = figure.subplots(3, 1, height_ratios=(8, 10, 2))
    for axis in (view, above):
        axis.set_facecolor(DARK.ground)
        axis.set_aspect("equal")
    _draw_view(view, points, scan.ground_truth)
    _draw_above(above, points, scan.ground_truth)
    seen = np.where(scan.lidars[0].returns[0][..., 0] > 0, scan.lidars[0].returns[0][..., 0], np.nan)
    images.imshow(seen, aspect="auto", cmap="turbo", vmax=60, interpolation="nearest")
    images.set_title("TOP, first return: range (m)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=70, format="png")
    plt.close(figure)


def _draw_view(axis: Any, points: np.ndarray, truth: GroundTruth) -> None:
    seen, depth = _project(points[:, :3])
    order = np.argsort(-depth)
    order = order[depth[order] > _NEAR_M]
    axis.scatter(*seen[order].T, c=np.tanh(points[order, 3]), s=0.6, cmap="viridis", vmin=0, vmax=0.4, linewidths=0)
    for corners, label in zip(box_corners(truth.box), truth.label, strict=True):
        at, far = _project(corners)
        if far.min() > _NEAR_M:
            for a, b in EDGES:
                axis.plot(*at[[a, b]].T, color=_COLOURS[label], lw=0.8)
    axis.set(xlim=(-0.9, 0.9), ylim=(-0.42, 0.3), xticks=[], yticks=[], title="from behind; colour: tanh(intensity)")


def _draw_above(axis: Any, points: np.ndarray, truth: GroundTruth) -> None:
    axis.scatter(points[:, 0], points[:, 1], c=points[:, 2], s=0.4, cmap="viridis", vmin=-1, vmax=4, linewidths=0)
    for corners, label in zip(bev_corners(truth.box), truth.label, strict=True):
        axis.plot(*corners[[0, 1, 2, 3, 0]].T, color=_COLOURS[label], lw=0.9)
        axis.plot(*np.stack([corners.mean(axis=0), corners[[0, 3]].mean(axis=0)]).T, color=_COLOURS[label], lw=0.9)
    axis.set(
        xlim=(-65, 65),
        ylim=(-40, 40),
        title="from above (m); colour: height; vehicles blue, pedestrians vermilion, signs purple, cyclists green",
    )


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right and up (P, 2) in units of depth, and depth (P,), from the eye."""
    away = points - _EYE_M
    depth = away[:, 0] * np.cos(_TILT_RAD) - away[:, 2] * np.sin(_TILT_RAD)
    up = away[:, 0] * np.sin(_TILT_RAD) + away[:, 2] * np.cos(_TILT_RAD)
    return np.stack([-away[:, 1], up], axis=-1) / np.maximum(depth, 1e-6)[:, None], depth
