"""Compute Waymo's detection metrics of files, without TensorFlow.

PREDICTIONS  Waymo's Objects .bin, a detections .parquet, or the folder of a run
LABELS       Waymo's Objects .bin, or folders of frame stores; of a run's folder by default its own data.val
Detections of ours are evaluated as their run asks: its classes, evaluation.metrics and evaluation.within.
One .npz that holds both sides as flat arrays takes the place of the two (docs/evaluation.md).

Example: pcdet-poly evaluate predictions.bin ground_truth.bin --output metrics.json
"""

from __future__ import annotations

import argparse
import os
from typing import get_args

from pcdet_poly.commands.file_kinds import TABLE
from pcdet_poly.commands.options import (
    add_allow,
    add_figure_formats,
    add_plugin,
    parse_local_path,
    parse_natural_int,
    parse_number,
    parse_path_or_url,
    parse_positive_int,
)
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly evaluate`."""
    from pcdet_poly.config.sections.evaluation import MetricsConfig
    from pcdet_poly.evaluation.checks.frames import FrameChoice

    breakdowns = get_args(get_args(MetricsConfig.model_fields["breakdowns"].annotation)[0])
    parser.add_argument("predictions", metavar="PREDICTIONS", type=parse_local_path, help="what was detected")
    parser.add_argument("labels", metavar="LABELS", type=parse_local_path, nargs="*", help="what is there")
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=TABLE,
        help="also write the table: .json, .csv or .md; with --against also FILE_against and FILE_difference",
    )
    parser.add_argument(
        "--plots", metavar="DIR", type=parse_local_path, help="draw precision-recall curves and AP per range"
    )
    add_figure_formats(parser)
    parser.add_argument(
        "--config",
        metavar="CONFIG",
        type=parse_path_or_url,
        help="take evaluation.metrics and evaluation.within from it",
    )
    parser.add_argument(
        "--within",
        metavar="X0,Y0,X1,Y1|all",
        type=_parse_within,
        help="leave boxes with a centre outside out, metres (written --within=-20,-20,20,20); all: leave none out",
    )
    parser.add_argument(
        "--frames",
        choices=get_args(FrameChoice),
        metavar="WHICH",
        help="union, predictions or labels: which frames count where the sides have others; union takes a frame that a "
        "side lacks as empty there",
    )
    parser.add_argument(
        "--breakdowns",
        nargs="+",
        choices=breakdowns,
        metavar="NAME",
        help=f"in place of OBJECT_TYPE RANGE; there are {', '.join(breakdowns)}",
    )
    parser.add_argument("--let", action="store_true", help="add LET-3D-AP, which forgives errors of depth")
    parser.add_argument("--camera-only", action="store_true", help="labels as in the camera-only challenge (.bin)")
    parser.add_argument(
        "--bootstrap",
        metavar="N",
        type=parse_natural_int,
        default=0,
        help="95 %% intervals from N resamplings of the segments",
    )
    parser.add_argument(
        "--against",
        metavar="OTHER",
        type=parse_local_path,
        help="a second detector's PREDICTIONS: print (and write) the difference, too",
    )
    parser.add_argument(
        "--workers",
        "--threads",
        metavar="N",
        type=parse_positive_int,
        default=os.cpu_count() or 1,
        help="threads (default: all cores)",
    )
    parser.add_argument(
        "--official",
        metavar="PYTHON",
        type=parse_path_or_url,
        help="interpreter with Waymo's package: compare with its op",
    )
    add_allow(parser)
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Read, evaluate, print, write."""
    from pcdet_poly.commands.metrics.evaluate_files import evaluate_files

    evaluate_files(options)


def _parse_within(text: str) -> tuple[float, ...]:
    """Return x0, y0, x1, y1; an empty tuple for `all`."""
    if text == "all":
        return ()
    limits = tuple(parse_number(word) for word in text.split(","))
    if len(limits) != 4 or not (limits[0] < limits[2] and limits[1] < limits[3]):
        raise argparse.ArgumentTypeError(f"{text!r}: write x0,y0,x1,y1 with x0 < x1 and y0 < y1, or all")
    return limits
