"""Look at frames, in a window, on a page for the browser, or as pictures.

A frame store shows points and labels; a run shows its validation frames, labels against detections. Opens a window
where there is a display; elsewhere, and with --html, writes one page for the browser; with --png, pictures.

Example: pcdet-poly view runs/centerpoint_pillar --frames 0:10 --html frames.html
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.commands.file_kinds import PAGE, PICTURE, RECORDING
from pcdet_poly.commands.options import (
    add_checkpoint,
    add_device,
    add_min_score,
    add_overrides,
    add_plugin,
    add_theme,
    parse_local_path,
    split_run,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.file_names import simplify_file_name
from pcdet_poly.names.shown_names import print_line, print_lines

if TYPE_CHECKING:
    from pcdet_poly.visualization.palette import ThemeName
    from pcdet_poly.visualization.viewer.colours import ColourMode
    from pcdet_poly.visualization.viewer.view import ViewSource

_FRAMES_IN_PAGE = 8
_COLOURS = ("class", "score", "return", "intensity", "height")


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly view`."""
    parser.add_argument(
        "source", metavar="RUN_OR_STORE", type=parse_local_path, help="folder of a run or of a frame store"
    )
    add_overrides(parser, "settings that win over the run's: data.val=[FOLDER]")
    parser.add_argument("--frame", metavar="N|ID", help="one frame by number (from 0) or by id, or the end of its id")
    parser.add_argument("--frames", metavar="A:B", help="several, as Python's slices: 0:10, -5:, ::20")
    add_checkpoint(parser, "run the detector (default: the run's detections.parquet)", default=None)
    add_min_score(parser, "smallest score of a detection", default=0.3)
    parser.add_argument("--colour", "--color", choices=_COLOURS, default="class", help="of points and boxes")
    parser.add_argument("--html", type=PAGE, metavar="FILE", help="write a page for the browser")
    parser.add_argument(
        "--picture",
        "--png",
        type=PICTURE,
        metavar="FILE",
        help="write pictures, in perspective and from above: .png, .svg or .pdf",
    )
    add_theme(parser)
    parser.add_argument("--rerun", type=RECORDING, metavar="FILE", help="write a recording for Rerun, .rrd")
    add_device(parser)
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Open the frames and show them."""
    from pcdet_poly.engine.views import open_views

    source, checkpoint = options.source, options.checkpoint
    if source.is_file():
        source, checkpoint = split_run(source, checkpoint or "last")
    views = open_views(
        source,
        options.overrides,
        checkpoint=checkpoint,
        min_score=options.min_score,
        device=options.device,
    )
    chosen = choose_frames(views.frame_ids, options.frame, options.frames)
    if options.html or options.picture or options.rerun:
        if options.html:
            _write_page(options.html, views, chosen or _spread_frames(len(views.frame_ids)), options)
        if options.picture:
            _write_pictures(options.picture, views, chosen or [0], options.colour, options.theme)
        if options.rerun:
            _write_recording(options.rerun, views, chosen or range(len(views.frame_ids)))
    elif has_display():
        from pcdet_poly.visualization.viewer.window import open_window

        open_window(views, chosen or range(len(views.frame_ids)), options.colour)
    else:
        path = Path(f"{simplify_file_name(views.title)}.html")
        print("no display: writing a page for the browser")
        _write_page(path, views, chosen or _spread_frames(len(views.frame_ids)), options)


def has_display() -> bool:
    """Whether a window can be expected to open."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def choose_frames(frame_ids: Sequence[str], frame: str | None, frames: str | None) -> list[int]:
    """Return the positions of the frames that the options name; none where they name none.

    Args:
        frame_ids: all frames.
        frame: what --frame says: a number, an id, or the end of one.
        frames: what --frames says: A:B or A:B:STEP.

    Raises:
        UserError: where there is no such frame, or both are given.
    """
    if frame is not None and frames is not None:
        raise UserError("--frame and --frames: give one of them")
    if frame is not None:
        return [_find_frame(frame_ids, frame)]
    if frames is None:
        return []
    try:
        limits = [int(part) if part else None for part in frames.split(":")]
        found = list(range(len(frame_ids)))[slice(*limits)] if 2 <= len(limits) <= 3 else None
    except ValueError:
        found = None
    if not found:
        raise UserError(
            f"--frames {frames}: names none of the {len(frame_ids)} frames; write A:B, from 0, B not included"
        )
    return found


def _find_frame(frame_ids: Sequence[str], frame: str) -> int:
    if frame in frame_ids:
        return frame_ids.index(frame)
    if frame.lstrip("-").isdigit() and -len(frame_ids) <= int(frame) < len(frame_ids):
        return int(frame) % len(frame_ids)
    ends = [i for i, name in enumerate(frame_ids) if name.endswith(frame)]
    if len(ends) == 1:
        return ends[0]
    which = f"fits {len(ends)} frames" if ends else f"no such frame; numbers are 0 to {len(frame_ids) - 1}"
    raise UserError(f"--frame {frame}: {which}; ids look like {frame_ids[0]}")


def _spread_frames(num_frames: int) -> list[int]:
    """A few positions from the first to the last frame."""
    count = min(_FRAMES_IN_PAGE, num_frames)
    return sorted({round(i * (num_frames - 1) / max(count - 1, 1)) for i in range(count)})


def _write_page(path: Path, views: ViewSource, chosen: Sequence[int], options: argparse.Namespace) -> None:
    from pcdet_poly.files import atomic_path
    from pcdet_poly.visualization.viewer.page import build_page

    text = build_page(views, chosen, mode=options.colour, min_score=options.min_score)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    shown = f"{len(chosen)} of {len(views.frame_ids)} frames"
    print_line(
        f"{path}: {shown}, {path.stat().st_size / 1e6:.1f} MB; open it in a browser (other frames: --frames A:B)"
    )


def _write_pictures(path: Path, views: ViewSource, chosen: Sequence[int], mode: ColourMode, theme: ThemeName) -> None:
    from pcdet_poly.visualization.viewer.pictures import draw_view

    for index in chosen:
        file = path if len(chosen) == 1 else path.with_name(f"{path.stem}_{index:05d}{path.suffix}")
        print_lines(*draw_view(file, views.load_view(index), mode, theme=theme))


def _write_recording(path: Path, views: ViewSource, chosen: Sequence[int]) -> None:
    from pcdet_poly.visualization.viewer.recording import write_recording

    write_recording(path, views, chosen)
    print_line(f"{path}: {len(chosen)} of {len(views.frame_ids)} frames; open it with: rerun {path}")
