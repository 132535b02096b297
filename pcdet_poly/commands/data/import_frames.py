"""Convert your own frames, one .npz file each or as a reader of your own reads them, into a frame store.

FOLDER is one segment, and so is each folder in it that holds .npz files. Arrays of a file (P points,
M boxes; metres and radians in the vehicle frame, x forward, y left, z up):
  points      (P, 3..5)  x, y, z, intensity, elongation; what is missing is 0
  boxes       (M, 7)     centre x, y, z, length, width, height, heading counter-clockwise from +x
  names       (M,)       class of each box: VEHICLE, PEDESTRIAN, SIGN or CYCLIST, or see --map
  num_points  (M,)       LiDAR points in each box (default: counted)
  track       (M,)       id of the object through the segment (default: empty)
  speed       (M, 2)     m/s along the world's x and y (default: unknown)
  timestamp   ()         microseconds (default: 100,000 after the frame before)
  pose        (4, 4)     world from vehicle (default: identity)

Example: pcdet-poly import-frames frames --output stores/mine --map car=VEHICLE
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import add_plugin, add_precision, add_workers, parse_local_path, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly import-frames`."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=parse_local_path,
        help="folder with .npz files, frames in natural order of names",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=parse_path_or_url, required=True, help="folder of the store; made if missing"
    )
    parser.add_argument(
        "--map",
        metavar="NAME=CLASS",
        type=_parse_renaming,
        action="append",
        default=[],
        help="repeat: --map car=VEHICLE",
    )
    parser.add_argument(
        "--reader",
        metavar="NAME",
        default="npz",
        help="what reads FOLDER: npz, waymo, or your own, such as my_package.my_module:MyReader (default: npz)",
    )
    add_plugin(parser)
    add_workers(parser)
    add_precision(parser)


def run(options: argparse.Namespace) -> None:
    """Convert the frames, and print the summary."""
    from pcdet_poly.data.convert.conversion_summary import print_conversion
    from pcdet_poly.data.convert.from_npz import import_npz
    from pcdet_poly.data.convert.from_reader import convert_with_reader

    if options.reader != "npz":
        if options.map:
            raise UserError(f"--map: for .npz files; {options.reader} names the classes itself")
        summary = convert_with_reader(
            [str(options.folder)],
            options.output,
            options.reader,
            precision=options.precision,
            workers=options.workers,
        )
        print_conversion(summary, options.output)
        return
    summary = import_npz(
        options.folder,
        options.output,
        class_map=dict(options.map),
        precision=options.precision,
        workers=options.workers,
    )
    print_conversion(summary, options.output)


def _parse_renaming(text: str) -> tuple[str, str]:
    name, equals, to = text.partition("=")
    if not (name and equals and to):
        raise argparse.ArgumentTypeError(f"{text!r}: NAME=CLASS needed, for example car=VEHICLE")
    return name, to
