"""Figures of matplotlib -> files: PNG for screens, SVG and PDF for papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.files import atomic_path
from pcdet_poly.names.shown_names import escape_for_terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_FORMATS = ("png", "svg", "pdf")
# The same figure gives the same bytes: no date, ids that follow from the content. Fonts are embedded as TrueType,
# since publishers refuse Type 3; letters of an SVG are outlines, so that it looks the same everywhere.
_SETTINGS: Any = {"svg.hashsalt": "pcdet_poly", "svg.fonttype": "path", "pdf.fonttype": 42}
_METADATA: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def parse_figure_formats(text: str) -> tuple[str, ...]:
    """Return the formats that `text` names, such as "png,svg". Raises UserError for another one."""
    formats = tuple(dict.fromkeys(part.strip().lower().lstrip(".") for part in text.split(",") if part.strip()))
    unknown = [name for name in formats if name not in FIGURE_FORMATS]
    if unknown or not formats:
        nearest = suggest_word(unknown[0], FIGURE_FORMATS) if unknown else ""
        every = f"formats are {', '.join(FIGURE_FORMATS)}, with commas between them"
        raise UserError(f"--picture-format {text}: {every}{nearest}")
    return formats


def find_figure_format(path: str | Path) -> str:
    """Return the format that the end of a file's name says. Raises UserError where it is none of ours."""
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FIGURE_FORMATS:
        raise UserError(f"{path}: pictures are PNG, SVG or PDF files; choose a name that ends in .png, .svg or .pdf")
    return suffix


def save_figure(figure: Figure, path: str | Path, *, dpi: float | None = None) -> Path:
    """Write a figure, whole or not at all, in the format that the name ends in.

    Args:
        figure: the figure.
        path: the file; ends in .png, .svg or .pdf.
        dpi: pixels per inch of a PNG, and of what is drawn as pixels inside an SVG or a PDF; the figure's own if None.

    Returns:
        The path.

    Raises:
        UserError: the name ends in something else.
    """
    from matplotlib import rc_context

    kind = find_figure_format(path)
    _draw_names_as_they_are(figure)
    with rc_context(_SETTINGS), atomic_path(path) as temporary, catch_warnings():
        filterwarnings("ignore", message="Glyph .* missing from font")  # the letters of some names
        figure.savefig(temporary, format=kind, dpi=dpi or "figure", metadata=_METADATA[kind])
    return Path(path)


def _draw_names_as_they_are(figure: Figure) -> None:
    """Let no text but the numbers at ticks be read as a formula: names of classes, files and runs may hold a $."""
    from matplotlib.text import Text

    ticks = {label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text not in ticks:
            text.set_parse_math(False)
            text.set_text("\n".join(map(escape_for_terminal, text.get_text().split("\n"))))


def save_figure_in_formats(
    figure: Figure, path: Path, formats: Sequence[str] = ("png",), *, dpi: float | None = None
) -> list[Path]:
    """Write a figure once per format, beside each other.

    Args:
        figure: the figure.
        path: the files' name; the end is replaced by each format's.
        formats: of `FIGURE_FORMATS`.
        dpi: as `save_figure` takes it.

    Returns:
        The paths, in the order of `formats`.
    """
    return [save_figure(figure, path.with_suffix(f".{kind}"), dpi=dpi) for kind in formats]
