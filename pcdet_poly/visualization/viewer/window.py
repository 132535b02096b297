"""A window that steps through frames; needs a display. open3d draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.names.file_names import simplify_file_name
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.optional_libraries import load_open3d
from pcdet_poly.visualization.boxes import EDGES, box_corners
from pcdet_poly.visualization.perspective import GROUND
from pcdet_poly.visualization.viewer.colours import (
    COLOUR_MODES,
    ColourMode,
    detection_colours,
    label_colours,
    point_colours,
)
from pcdet_poly.visualization.viewer.pictures import describe_counts
from pcdet_poly.visualization.viewer.view import View, ViewSource

HELP = """keys: n right  next frame       p left  previous frame
      c        next colours     l d     labels, detections on or off
      s        save a PNG       r       first view
      h        this help        q esc   quit
mouse: drag to turn, wheel to zoom, ctrl-drag to move"""
_RIGHT, _LEFT = 262, 263  # as GLFW numbers them
_FIRST_VIEW = {"front": (-0.85, 0, 0.53), "lookat": (8.0, 0, 0), "up": (0, 0, 1), "zoom": 0.25}
_PALER = 0.55  # labels against detections: lines have one width


def build_geometries(view: View, mode: ColourMode, *, labels: bool = True, detections: bool = True) -> list[Any]:
    """Build what open3d draws: the points as a PointCloud, the boxes as LineSets, labels paler than detections.

    Args:
        view: the frame.
        mode: how points and boxes are coloured.
        labels: whether labels are drawn.
        detections: whether detections are drawn, if a detector has looked.

    Returns:
        The geometries.
    """
    library = load_open3d()
    cloud = library.geometry.PointCloud(library.utility.Vector3dVector(view.xyz.astype(np.float64)))
    cloud.colors = library.utility.Vector3dVector(point_colours(view, mode) / 255)
    found = [cloud]
    if labels:
        found.append(_build_line_set(view.labels.box, label_colours(view, mode) / 255 * _PALER))
    if detections and view.detections is not None:
        found.append(_build_line_set(view.detections.box, detection_colours(view, mode) / 255))
    return found


def _build_line_set(box: np.ndarray, colour: np.ndarray) -> Any:
    """Return boxes (N, 7) as lines in colours (N, 3) from 0 to 1."""
    library, corners = load_open3d(), box_corners(box.astype(np.float64))  # (N, 10, 3)
    edges = EDGES + corners.shape[1] * np.arange(len(box))[:, None, None]
    lines = library.geometry.LineSet(
        library.utility.Vector3dVector(corners.reshape(-1, 3)),
        library.utility.Vector2iVector(edges.reshape(-1, 2).astype(np.int32)),
    )
    lines.colors = library.utility.Vector3dVector(np.repeat(colour, len(EDGES), axis=0))
    return lines


class Window:
    """State of the window, and what each key changes. `show` tells the window to draw these geometries."""

    def __init__(
        self, views: ViewSource, frames: Sequence[int], mode: ColourMode, show: Callable[[list[Any]], None]
    ) -> None:
        self.views, self.frames, self.mode, self.show = views, list(frames), mode, show
        self.position = 0
        self.hidden: set[str] = set()
        self.view = views.load_view(self.frames[0])

    def draw(self) -> None:
        """Show the frame, and say on the terminal which it is."""
        parts = {name: name not in self.hidden for name in ("labels", "detections")}
        self.show(build_geometries(self.view, self.mode, **parts))
        place = f"{self.position + 1}/{len(self.frames)}"
        print_line(f"{place}  {self.view.frame_id}  colour: {self.mode}  {describe_counts(self.view)}", flush=True)

    def step_frames(self, by: int) -> None:
        """Go `by` frames further, from the last to the first."""
        self.position = (self.position + by) % len(self.frames)
        self.view = self.views.load_view(self.frames[self.position])
        self.draw()

    def switch_mode(self) -> None:
        """Colour points and boxes in the next way."""
        self.mode = COLOUR_MODES[(COLOUR_MODES.index(self.mode) + 1) % len(COLOUR_MODES)]
        self.draw()

    def toggle(self, name: str) -> None:
        """Hide or show the `labels` or the `detections`."""
        self.hidden ^= {name}
        self.draw()

    def picture_path(self) -> Path:
        """Return where the picture of this frame goes."""
        return Path(f"{simplify_file_name(self.view.frame_id, longest=150)}.png")


def open_window(views: ViewSource, frames: Sequence[int], mode: ColourMode) -> None:
    """Open the window; return when it is closed.

    Args:
        views: where the frames come from.
        frames: positions of the frames that one can step through.
        mode: how points and boxes are coloured at first.

    Raises:
        UserError: no window can be opened here.
    """
    viewer = load_open3d().visualization.VisualizerWithKeyCallback()
    if not viewer.create_window(views.title, 1400, 800):
        raise UserError("no window can be opened here (no display, or one without OpenGL); use --html or --picture")

    def show(new: list[Any]) -> None:
        viewer.clear_geometries()
        for geometry in new:
            viewer.add_geometry(geometry, reset_bounding_box=False)

    window = Window(views, frames, mode, show)
    for geometry in build_geometries(window.view, mode):
        viewer.add_geometry(geometry)  # the first ones set the bounds that zoom and clipping start from
    _bind_keys(viewer, window)
    options = viewer.get_render_option()
    options.background_color, options.point_size = np.array(GROUND) / 255, 2.0
    _reset_view(viewer)
    print(HELP)
    window.draw()
    viewer.run()
    viewer.destroy_window()


def _bind_keys(viewer: Any, window: Window) -> None:
    """Tell the viewer what each key does."""

    def save() -> None:
        viewer.capture_screen_image(str(window.picture_path()), do_render=True)
        print_line(window.picture_path(), flush=True)

    actions: dict[int, Callable[[], object]] = {
        **dict.fromkeys((ord("N"), _RIGHT), lambda: window.step_frames(1)),
        **dict.fromkeys((ord("P"), _LEFT), lambda: window.step_frames(-1)),
        ord("C"): window.switch_mode,
        ord("L"): lambda: window.toggle("labels"),
        ord("D"): lambda: window.toggle("detections"),
        ord("R"): lambda: _reset_view(viewer),
        ord("S"): save,
        ord("H"): lambda: print(HELP, flush=True),
    }
    for key, action in actions.items():
        viewer.register_key_callback(key, _redraw_after(action))


def _redraw_after(action: Callable[[], object]) -> Callable[[Any], bool]:
    """Return a callback that does `action` and has the window drawn again."""

    def act(viewer: Any) -> bool:
        action()
        return True  # draw anew

    return act


def _reset_view(viewer: Any) -> None:
    """Look from above and behind the vehicle."""
    control = viewer.get_view_control()
    for name, value in _FIRST_VIEW.items():
        getattr(control, f"set_{name}")(value)
