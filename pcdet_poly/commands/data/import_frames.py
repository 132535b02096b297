"""Convert your own frames (.npz) or those of a known data set (--format) into a frame store.

FOLDER and each folder in it with .npz files is a segment. Arrays of a file (m, rad, vehicle frame):
  points      (P, 3..5)  x, y, z, intensity, elongation; what is missing is 0
  boxes       (M, 7)     centre x, y, z, length, width, height, heading counter-clockwise from +x
  names       (M,)       class of each box: VEHICLE, PEDESTRIAN, SIGN or CYCLIST, or see --map
  num_points  (M,)       LiDAR points in each box (default: counted)
  track       (M,)       id of the object through the segment (default: empty)
  speed       (M, 2)     m/s along the world's x and y (default: unknown)
  timestamp   ()         time, see --timestamp-unit (default: 100 ms after the frame before)
  pose        (4, 4)     world from vehicle (default: identity)

Example: pcdet-poly import-frames frames --output stores/mine --map Car=VEHICLE --drop DontCare
"""

from __future__ import annotations

import argparse
from itertools import chain
from typing import TYPE_CHECKING

from pcdet_poly.commands.options import (
    add_allow,
    add_on_error,
    add_plugin,
    add_precision,
    add_replace,
    add_workers,
    parse_local_path,
    parse_path_or_url,
)
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError

if TYPE_CHECKING:
    from pcdet_poly.data.convert.formats.import_options import ImportOptions

FORMATS = ("npz", "kitti", "nuscenes", "argoverse2", "openpcdet")


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly import-frames`."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=parse_local_path,
        help="folder of .npz files in natural order, or of a data set",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=parse_path_or_url, required=True, help="folder of the store; made if missing"
    )
    parser.add_argument(
        "--map",
        metavar="NAME=CLASS",
        type=_parse_renamings,
        action="append",
        default=[],
        help="with commas, or repeat: Car=VEHICLE,Van=VEHICLE",
    )
    parser.add_argument(
        "--drop",
        metavar="NAME",
        type=_split_names,
        action="append",
        default=[],
        help="leave boxes of these classes out",
    )
    parser.add_argument(
        "--classes",
        metavar="NAME,NAME",
        type=_split_names,
        help="of your own (default: VEHICLE,PEDESTRIAN,SIGN,CYCLIST)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="npz",
        metavar="NAME",
        help="npz, kitti, nuscenes, argoverse2 or openpcdet (default: npz)",
    )
    parser.add_argument(
        "--timestamp-unit",
        metavar="UNIT",
        choices=("s", "ms", "us", "ns"),
        help="s, ms, us or ns (default: by magnitude; small ones: int us, float s)",
    )
    add_on_error(parser)
    add_replace(parser)
    add_allow(parser)
    parser.add_argument(
        "--reader",
        metavar="NAME",
        default="npz",
        help="npz, waymo, or your own, as my_package.my_module:MyReader (default: npz)",
    )
    add_plugin(parser)
    add_workers(parser)
    add_precision(parser)


def run(options: argparse.Namespace) -> None:
    """Convert the frames, and print the summary."""
    from pcdet_poly.data.convert.conversion_summary import print_conversion
    from pcdet_poly.data.convert.formats.import_format import import_format
    from pcdet_poly.data.convert.from_npz import import_npz
    from pcdet_poly.data.convert.from_reader import convert_with_reader

    folder, output = options.folder, options.output
    work = {
        "precision": options.precision,
        "workers": options.workers,
        "on_error": options.on_error,
        "allowed": options.allow,
    }
    if options.reader in FORMATS and options.reader != "npz":
        raise UserError(f"--reader {options.reader}: a format that we know; give --format {options.reader}")
    if options.reader != "npz":
        _refuse_with_reader(options)
        summary = convert_with_reader([str(folder)], output, options.reader, replace=options.replace, **work)
    elif options.format != "npz":
        if options.timestamp_unit:
            raise UserError(f"--timestamp-unit: for .npz files; {options.format} has a unit of its own")
        said = _make_import_options(options)
        summary = import_format(
            options.format, [str(folder)], output, options=said, replace_sources=options.replace, **work
        )
    else:
        summary = import_npz(folder, output, options=_make_import_options(options), replace=options.replace, **work)
    print_conversion(summary, output)


def _make_import_options(options: argparse.Namespace) -> ImportOptions:
    from pcdet_poly.data.convert.formats.class_names import ClassNames
    from pcdet_poly.data.convert.formats.import_options import ImportOptions
    from pcdet_poly.structures import WAYMO_CLASSES

    classes = tuple(options.classes) if options.classes else WAYMO_CLASSES
    renamed = dict(pair for pairs in options.map for pair in pairs)
    return ImportOptions(
        ClassNames(classes, renamed, frozenset(chain.from_iterable(options.drop))), options.timestamp_unit
    )


def _refuse_with_reader(options: argparse.Namespace) -> None:
    """Raise `UserError` for an option that says how files are read, which a reader of the user's own does by itself."""
    for name in ("map", "drop", "classes", "timestamp_unit"):
        if getattr(options, name):
            raise UserError(f"--{name.replace('_', '-')}: for files that we read; {options.reader} does that itself")
    if options.format != "npz":
        raise UserError(
            f"--format {options.format}: another reader than --reader {options.reader}; give one of the two"
        )


def _parse_renamings(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        name, equals, to = part.partition("=")
        if not (name and equals and to):
            raise argparse.ArgumentTypeError(f"{part!r}: NAME=CLASS needed, for example car=VEHICLE")
        pairs.append((name, to))
    return pairs


def _split_names(text: str) -> list[str]:
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: names with commas between them needed")
    return names
