"""The result of checking a store: printed with histograms of text, or as one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pcdet_poly.data.check.check_store import Contents, SegmentCheck, join_contents
from pcdet_poly.data.check.histograms import draw_bars
from pcdet_poly.data.convert.conversion_summary import describe_contents
from pcdet_poly.files import atomic_path
from pcdet_poly.names.shown_names import escape_for_terminal, print_line
from pcdet_poly.visualization.html import escape_text

_STYLE = (
    ":root{color-scheme:light dark}body{font:15px system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "td,th{padding:.1em .8em;text-align:right}td:first-child,th:first-child{text-align:left}"
    "meter{width:20em}.bad{color:#c33}.odd{color:#a60}"
)


def print_check(checks: Sequence[SegmentCheck], console: Console) -> None:
    """Print a table with one row per segment, what the frames hold, then every fault in full."""
    table = Table(*_HEADS)
    for row in _list_rows(checks):
        table.add_row(*(Text(escape_for_terminal(cell)) for cell in row))
    console.print(table, markup=False)
    contents = join_contents(list(checks))
    for name, unit, bins in contents.histograms.list_filled():
        print_line(f"{name}{f', {unit}' if unit else ''}")
        print("\n".join(f"  {line}" for line in draw_bars(bins)))
    for line in _describe_checks(contents):
        print_line(line)
    for checked in checks:
        for fault in checked.faults:
            print_line(fault)
    for line in contents.tally.describe():
        print_line(f"warning: {line}")
    print_line(describe_contents([checked.entry for checked in checks]))


def write_check_page(checks: Sequence[SegmentCheck], path: Path, title: str) -> None:
    """Write the same as one HTML page that needs nothing else.

    Args:
        checks: of all segments.
        path: the page.
        title: its heading, such as the store's name.
    """
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(_build_page(checks, title)), encoding="utf-8")


def _build_page(checks: Sequence[SegmentCheck], title: str) -> Iterator[str]:
    contents = join_contents(list(checks))
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<title>{escape_text(title)}</title><style>{_STYLE}</style>"
    yield f"<h1>{escape_text(title)}</h1><p>{escape_text(describe_contents([checked.entry for checked in checks]))}</p>"
    faults = [fault for checked in checks for fault in checked.faults]
    yield from (f'<p class="bad">{escape_text(fault)}</p>' for fault in faults)
    yield from (f'<p class="odd">warning: {escape_text(line)}</p>' for line in contents.tally.describe())
    yield "" if faults else "<p>No faults.</p>"
    yield from (f"<p>{escape_text(line)}</p>" for line in _describe_checks(contents))
    yield "<table><tr>" + "".join(f"<th>{head}" for head in _HEADS)
    for row in _list_rows(checks):
        yield "<tr>" + "".join(f"<td>{escape_text(cell)}" for cell in row)
    yield "</table>"
    for name, unit, bins in contents.histograms.list_filled():
        most = max(count for _, count in bins)
        yield f"<h2>{escape_text(name)}{f', {unit}' if unit else ''}</h2><table>"
        for interval, count in bins:
            meter = f'<meter max="{most}" value="{count}">{count}</meter>'
            yield f"<tr><td>{interval}<td>{meter}<td>{count}"
        yield "</table>"
    yield "</html>"


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # no script and no request
_HEADS = ("segment", "frames", "points", "objects", "MB", "state")


def _list_rows(checks: Sequence[SegmentCheck]) -> Iterator[tuple[str, ...]]:
    for checked in checks:
        entry = checked.entry
        state = f"{len(checked.faults)} problems" if checked.faults else "sound"
        counts = (entry.num_frames, entry.num_points, sum(entry.num_objects.values()))
        yield (entry.segment, *map(str, counts), f"{entry.file_bytes / 1e6:.1f}", state)


def _describe_checks(contents: Contents) -> Iterator[str]:
    """Say how labels and points fit together."""
    counts = contents.totals.counts
    if counts.objects:
        yield (
            f"points were counted in {counts.objects} boxes: {counts.counted_some} hold some; {counts.lost} of "
            f"{counts.seen} labelled with 5 points or more hold none; {counts.without_count} with points are labelled "
            "with 0"
        )
    usable: Counter[str] = Counter()
    for name, _, bins in contents.histograms.list_filled():
        if name.endswith(" length"):
            usable[name.removesuffix(" length")] = sum(count for _, count in bins)
    yield "labels by class: " + (", ".join(f"{count} {name}" for name, count in usable.items()) or "none")
