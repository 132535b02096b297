"""Small TFRecord files of made-up scans, and the tools that convert them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pcdet_poly.waymo import encode_scan, write_records
from pcdet_poly.waymo.scan import Scan
from tests.waymo.scans import make_scan

ROOT = Path(__file__).resolve().parents[2]


def make_scans(segment: str, count: int, *, rows: int = 4, columns: int = 9) -> list[Scan]:
    """`count` frames of one segment, 100 ms apart."""
    scans = [make_scan(i, rows=rows, columns=columns) for i in range(count)]
    return [replace(scan, segment=segment, timestamp_us=1000 + 100_000 * i) for i, scan in enumerate(scans)]


def write_segment_records(folder: Path, segment: str, count: int, *, rows: int = 4, columns: int = 9) -> Path:
    """A TFRecord file named after its segment."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{segment}.tfrecord"
    write_records(path, (encode_scan(scan) for scan in make_scans(segment, count, rows=rows, columns=columns)))
    return path


def tool(name: str, *arguments: str | Path) -> list[str]:
    """The command line of data_tools/<name>.py."""
    return [sys.executable, str(ROOT / "data_tools" / f"{name}.py"), *map(str, arguments)]


def run(command: list[str], *, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run to the end; on failure exactly one line on stderr, no traceback."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == exit_code, done.stderr
    if exit_code:
        assert len(done.stderr.splitlines()) == 1, done.stderr
    return done


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a store."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without_places(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a store without where its sources lay, and the checksum that covers it."""
    lines = files["manifest.json"].splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith((b'"sources"', b'"crc32"'))]
    assert len(lines) - len(kept) == 2
    return {**files, "manifest.json": b"".join(kept)}
