"""Look at frames: `python -m pcdet_poly.visualization.viewer RUN_OR_STORE`.

A frame store shows points and labels; a run shows its validation frames, labels against detections. Opens a window
where there is a display; elsewhere, and with --html, writes one page for the browser; with --png, pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.errors import UserError, run_command

if TYPE_CHECKING:
    from pcdet_poly.visualization.viewer.colours import Mode
    from pcdet_poly.visualization.viewer.view import Views

_FRAMES_IN_PAGE = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, open, show."""
    options = _parser().parse_intermixed_args(arguments)
    from pcdet_poly.engine.views import views_of

    if not 0 <= options.score <= 1:
        raise UserError(f"--score {options.score:g}: a score is from 0 to 1")
    views = views_of(
        options.source,
        options.overrides,
        checkpoint=options.checkpoint,
        min_score=options.score,
        device=options.device,
    )
    chosen = chosen_frames(views.frame_ids, options.frame, options.frames)
    if options.html or options.png:
        if options.html:
            _write_page(options.html, views, chosen or _spread(len(views.frame_ids)), options.colour, options.score)
        if options.png:
            _write_pictures(options.png, views, chosen or [0], options.colour)
    elif has_display():
        from pcdet_poly.visualization.viewer.window import open_window

        open_window(views, chosen or range(len(views.frame_ids)), options.colour)
    else:
        path = Path(f"{views.title}.html")
        print("no display: writing a page for the browser")
        _write_page(path, views, chosen or _spread(len(views.frame_ids)), options.colour, options.score)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.visualization.viewer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    colours = ("class", "score", "return", "intensity", "height")
    parser.add_argument("source", metavar="RUN_OR_STORE", type=Path, help="folder of train.py or of data_tools/")
    parser.add_argument(
        "overrides", metavar="key=value", nargs="*", help="settings that win over the run's: data.val=[FOLDER]"
    )
    parser.add_argument("--frame", metavar="N|ID", help="one frame by number (from 0) or by id, or the end of its id")
    parser.add_argument("--frames", metavar="A:B", help="several, as Python's slices: 0:10, -5:, ::20")
    parser.add_argument(
        "--checkpoint", metavar="best|last|PATH", help="run the detector (default: the run's detections.parquet)"
    )
    parser.add_argument("--score", type=float, default=0.3, help="smallest score of a detection (default: 0.3)")
    parser.add_argument("--colour", choices=colours, default="class", help="of points and boxes (default: class)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page for the browser")
    parser.add_argument("--png", type=Path, metavar="FILE", help="write pictures, in perspective and from above")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one"
    )
    return parser


def has_display() -> bool:
    """Whether a window can be expected to open."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def chosen_frames(frame_ids: Sequence[str], frame: str | None, frames: str | None) -> list[int]:
    """Positions of the frames that the options name; empty where they name none."""
    if frame is not None and frames is not None:
        raise UserError("--frame and --frames: give one of them")
    if frame is not None:
        return [_position(frame_ids, frame)]
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


def _position(frame_ids: Sequence[str], frame: str) -> int:
    if frame in frame_ids:
        return frame_ids.index(frame)
    if frame.lstrip("-").isdigit() and -len(frame_ids) <= int(frame) < len(frame_ids):
        return int(frame) % len(frame_ids)
    ends = [i for i, name in enumerate(frame_ids) if name.endswith(frame)]
    if len(ends) == 1:
        return ends[0]
    which = f"fits {len(ends)} frames" if ends else f"no such frame; numbers are 0 to {len(frame_ids) - 1}"
    raise UserError(f"--frame {frame}: {which}; ids look like {frame_ids[0]}")


def _spread(num_frames: int) -> list[int]:
    """A few positions from the first to the last frame."""
    count = min(_FRAMES_IN_PAGE, num_frames)
    return sorted({round(i * (num_frames - 1) / max(count - 1, 1)) for i in range(count)})


def _write_page(path: Path, views: Views, chosen: Sequence[int], mode: Mode, min_score: float) -> None:
    from pcdet_poly.files import atomic_path
    from pcdet_poly.visualization.viewer.page import page

    text = page(views, chosen, mode=mode, min_score=min_score)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    shown = f"{len(chosen)} of {len(views.frame_ids)} frames"
    print(f"{path}: {shown}, {path.stat().st_size / 1e6:.1f} MB; open it in a browser (other frames: --frames A:B)")


def _write_pictures(path: Path, views: Views, chosen: Sequence[int], mode: Mode) -> None:
    from pcdet_poly.visualization.viewer.pictures import draw_view

    if path.suffix.lower() != ".png":
        raise UserError(f"--png {path}: pictures are PNG files; choose a name that ends in .png")
    for index in chosen:
        file = path if len(chosen) == 1 else path.with_name(f"{path.stem}_{index:05d}{path.suffix}")
        print(*draw_view(file, views.at(index), mode), sep="\n")


if __name__ == "__main__":
    sys.exit(run_command(main))
