"""Simulate LiDAR segments and write them as Waymo Open Dataset files, v1 TFRecords or v2 Parquet.

Segments that are there are kept: run the same command again after an interruption.

Example: pcdet-poly simulate records/training --segments 8 --frames 20 --workers 2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pcdet_poly.commands.options import (
    add_workers,
    parse_local_path,
    parse_natural_int,
    parse_positive_int,
    parse_positive_number,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly simulate`."""
    count = parse_positive_int
    parser.add_argument("folder", metavar="DIR", nargs="?", type=parse_local_path, help="the same as --output DIR")
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=parse_local_path,
        help="folder for the files, one per segment (v2: one per component)",
    )
    parser.add_argument("--format", choices=("v1", "v2"), default="v1", help="v1: TFRecord, v2: Parquet by component")
    parser.add_argument("--segments", metavar="N", type=count, default=10, help="how many segments, one seed each")
    parser.add_argument("--frames", metavar="N", type=count, default=200, help="frames per segment")
    parser.add_argument(
        "--interval-s", metavar="S", type=parse_positive_number, default=0.1, help="seconds between frames; Waymo: 0.1"
    )
    parser.add_argument(
        "--seed", metavar="N", type=parse_natural_int, default=0, help="seed of the first segment; the next count up"
    )
    parser.add_argument("--prefix", default="segment-sim", help="v1 files are named PREFIX<seed>.tfrecord")
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Write the segments that are missing, and print how many there are."""
    output = _choose_output(options)
    from pcdet_poly.simulation.write import list_jobs, write_segments

    jobs = list_jobs(
        str(output),
        num_segments=options.segments,
        num_frames=options.frames,
        interval_s=options.interval_s,
        seed=options.seed,
        prefix=options.prefix,
        format=options.format,
    )
    written = [result for _, result in write_segments(jobs, workers=options.workers)]
    frames, objects = sum(one.num_frames for one in written), sum(one.num_objects for one in written)
    there = sum(one.was_there for one in written)
    print_line(f"{output}: {len(written)} segments ({there} were there), {frames} frames, {objects} labels")


def _choose_output(options: argparse.Namespace) -> Path:
    """Return the folder, which may be given with or without --output."""
    if (options.folder is None) == (options.output is None):
        raise UserError("--output DIR: the folder for the records is needed, once; see pcdet-poly simulate -h")
    chosen: Path = options.folder or options.output
    return chosen
