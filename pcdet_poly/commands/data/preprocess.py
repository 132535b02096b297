"""Convert Waymo Open Dataset files, v1 TFRecords or v2 Parquet, into a frame store to train from.

Finished segments are skipped: run the same command again after an interruption. Inputs and the output
may be URLs (gs://, s3://); docs/conversion.md has the commands.

Example: pcdet-poly preprocess records/training --output stores/training --workers 8
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.file_kinds import JSON
from pcdet_poly.commands.options import (
    add_allow,
    add_on_error,
    add_precision,
    add_replace,
    add_workers,
    parse_path_or_url,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly preprocess`."""
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=parse_path_or_url,
        help="a .tfrecord file, a folder of them, a pattern, or a v2 folder (with lidar/, lidar_box/, ...)",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=parse_path_or_url, required=True, help="folder of the store; made if missing"
    )
    add_workers(parser)
    parser.add_argument(
        "--executor", choices=("local", "ray"), default="local", help="ray: spread segments over a Ray cluster"
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of a running cluster, or auto (default: start one of --workers CPUs on this machine)",
    )
    add_precision(parser)
    parser.add_argument(
        "--returns", type=int, nargs="+", choices=(1, 2), default=[1, 2], help="LiDAR returns to keep (default: 1 2)"
    )
    add_on_error(parser)
    add_replace(parser)
    add_allow(parser)
    parser.add_argument("--json", metavar="FILE", type=JSON, help="write the numbers of the summary there, too")


def run(options: argparse.Namespace) -> None:
    """Convert what is missing, and print the summary."""
    if options.ray_address and options.executor != "ray":
        raise UserError("--ray-address needs --executor ray")
    from pcdet_poly.data.convert.conversion_summary import print_conversion, write_conversion
    from pcdet_poly.data.convert.from_waymo import convert_waymo

    summary = convert_waymo(
        options.inputs,
        options.output,
        returns=sorted(set(options.returns)),
        precision=options.precision,
        on_error=options.on_error,
        workers=options.workers,
        executor=options.executor,
        ray_address=options.ray_address,
        replace=options.replace,
        allowed=options.allow,
    )
    print_conversion(summary, options.output)
    if options.json:
        write_conversion(summary, options.json)
