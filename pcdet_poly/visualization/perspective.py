"""Points and boxes in space -> a picture in perspective. Needs no display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pcdet_poly.figure_files import save_figure
from pcdet_poly.visualization.boxes import box_lines
from pcdet_poly.visualization.palette import PERSPECTIVE_GROUND, THEMES, Theme, ThemeName, parse_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUND = parse_rgb(PERSPECTIVE_GROUND)
_NEAR_M = 0.5
_FULL_LIGHT_M = 40.0  # farther points fade into the ground, down to a third of their colour
_LARGE_M = 25.0  # nearer points are 3 pixels wide, the others 2
_DPI = 100


@dataclass(frozen=True)
class Camera:
    """An eye that looks at a point in the vehicle frame."""

    yaw_rad: float = np.pi  # around the target: 0 in front of the car, pi behind it
    pitch_rad: float = 0.55  # above the horizontal
    distance_m: float = 42.0  # from the target
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres

    def project(self, xyz: np.ndarray, width: int, height: int) -> np.ndarray:
        """Project points into the picture.

        Args:
            xyz: (..., 3) metres, in the frame of `target`.
            width: of the picture, pixels.
            height: of the picture, pixels.

        Returns:
            (..., 3) pixels from the left, pixels from the top, depth in metres.
        """
        right, up, back = self._compute_axes()
        relative = np.asarray(xyz, np.float64) - self.target
        depth = self.distance_m - relative @ back
        focus = 0.95 * height / np.where(depth == 0, np.nan, depth)
        return np.stack([width / 2 + focus * (relative @ right), height / 2 - focus * (relative @ up), depth], axis=-1)

    def clip_lines(self, lines: np.ndarray) -> np.ndarray:
        """Cut what is behind the eye off lines (L, 2, 3); NaN where nothing is left."""
        depth = (
            self.distance_m - (lines - np.array(self.target)) @ self._compute_axes()[2] - _NEAR_M
        )  # (L, 2), seen where > 0
        behind = depth <= 0
        share = np.where(behind, -depth / np.where(behind, depth[:, ::-1] - depth, 1), 0)  # of the way to the other end
        cut: np.ndarray = lines + share[..., None] * (lines[:, ::-1] - lines)
        return np.where(behind.all(axis=1)[:, None, None], np.nan, cut)

    def _compute_axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the unit vectors to the right, up, and back towards the eye."""
        (cy, sy), (cp, sp) = ((np.cos(a), np.sin(a)) for a in (self.yaw_rad, self.pitch_rad))
        return np.array([-sy, cy, 0]), np.array([-cy * sp, -sy * sp, cp]), np.array([cy * cp, sy * cp, sp])


@dataclass(frozen=True)
class DrawnBoxes:
    """Boxes to draw: labels dashed and thin, detections solid and thick."""

    box: np.ndarray  # (N, 7)
    colour: np.ndarray  # (N, 3) uint8
    dashed: bool
    texts: Sequence[str] = ()  # N of them, beside the boxes, or none


def paint_points(
    xyz: np.ndarray,
    colour: np.ndarray,
    camera: Camera,
    width: int,
    height: int,
    ground: tuple[int, int, int] = GROUND,
) -> np.ndarray:
    """Paint points; near ones hide far ones, and far ones fade into the ground.

    Args:
        xyz: (P, 3) metres, in the camera's frame of reference.
        colour: (P, 3) uint8 red, green, blue.
        camera: the eye.
        width: of the picture, pixels.
        height: of the picture, pixels.
        ground: red, green, blue, 0 to 255, where no point is.

    Returns:
        (height, width, 3) uint8.
    """
    image = np.full((height, width, 3), ground, np.uint8)
    u, v, depth = camera.project(xyz, width, height).T
    visible = np.flatnonzero((depth > _NEAR_M) & (u >= 1) & (v >= 1) & (u < width - 3) & (v < height - 3))
    visible = visible[np.argsort(-depth[visible], kind="stable")]  # what is painted last is seen
    light = np.clip(_FULL_LIGHT_M / depth[visible], 0.35, 1)[:, None]
    shaded = (colour[visible] * light + np.array(ground) * (1 - light)).astype(np.uint8)
    column, row, large = u[visible].astype(int), v[visible].astype(int), depth[visible] < _LARGE_M
    for down in range(3):
        for right in range(3):
            some = slice(None) if max(down, right) < 2 else large
            image[row[some] + down, column[some] + right] = shaded[some]
    return image


def draw_perspective(
    path: str | Path,
    xyz: np.ndarray,
    colour: np.ndarray,
    boxes: Sequence[DrawnBoxes],
    *,
    camera: Camera | None = None,
    title: str = "",
    key: Sequence[tuple[str, tuple[int, int, int]]] = (),
    size_px: tuple[int, int] = (1400, 800),
    theme: ThemeName = "dark",
) -> None:
    """Write a picture of points and boxes in perspective. Needs no display.

    Args:
        path: the file, PNG, SVG or PDF by its end; it is written whole or not at all.
        xyz: (P, 3) metres, vehicle frame.
        colour: (P, 3) uint8 red, green, blue of the points.
        boxes: groups of boxes, in the same frame.
        camera: the eye; above and behind the vehicle if None.
        title: a line in the picture's corner.
        key: texts and colours of the legend.
        size_px: width and height in pixels.
        theme: colours of the ground and the texts.

    Raises:
        UserError: the name ends in another format's.
    """
    from matplotlib.figure import Figure

    camera, (width, height), look = camera or Camera(), size_px, THEMES[theme]
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    image = paint_points(xyz, colour, camera, width, height, parse_rgb(look.ground))
    axes.imshow(image, extent=(0, width, height, 0), aspect="auto")
    for some in boxes:
        _draw_boxes(axes, some, camera, size_px, look)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(14, 26, title, color=look.ink, fontsize=11)
    _draw_key(axes, key, look)
    save_figure(figure, path, dpi=_DPI)


def _draw_key(axes: Axes, key: Sequence[tuple[str, tuple[int, int, int]]], theme: Theme) -> None:
    """Draw the legend below the title: a square in each colour, and its text."""
    for line, (text, rgb) in enumerate(key):
        axes.text(14, 48 + 18 * line, "■", color=np.array(rgb) / 255, fontsize=9)
        axes.text(30, 48 + 18 * line, text, color=theme.ink, fontsize=9)


def _draw_boxes(axes: Axes, boxes: DrawnBoxes, camera: Camera, size_px: tuple[int, int], theme: Theme) -> None:
    """Draw the edges of boxes, and their texts where they are near."""
    from matplotlib.collections import LineCollection

    lines = box_lines(boxes.box)  # (N, 13, 2, 3)
    colour = np.repeat(boxes.colour / 255, lines.shape[1], axis=0)
    ends = camera.project(camera.clip_lines(lines.reshape(-1, 2, 3)), *size_px)[..., :2]
    kept = np.isfinite(ends).all(axis=(1, 2))
    style, thickness = ("--", 0.9) if boxes.dashed else ("-", 1.4)
    drawn = LineCollection(list(ends[kept]), colors=colour[kept], linestyles=style, linewidths=thickness)
    axes.add_collection(drawn)
    for text, line in zip(boxes.texts, lines[:, 4, 0], strict=False):
        u, v, depth = camera.project(line, *size_px)
        if _NEAR_M < depth < _FULL_LIGHT_M * 1.5:
            axes.text(u, v - 4, text, color=theme.ink, fontsize=7.5, clip_on=True)
