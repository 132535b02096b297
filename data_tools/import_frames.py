"""Your own frames, one .npz file each -> a frame store to train from.

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
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.errors import run_command
from pcdet_poly.workers import worker_count


def main() -> int:
    """Parse and import."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER", help="folder with .npz files, frames in natural order of names")
    parser.add_argument("--output", metavar="DIR", required=True, help="folder of the store; made if missing")
    parser.add_argument(
        "--map", metavar="NAME=CLASS", type=_renaming, action="append", default=[], help="repeat: --map car=VEHICLE"
    )
    parser.add_argument("--workers", metavar="N", type=worker_count, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--precision",
        choices=("compact", "exact"),
        default="compact",
        help="compact: coordinates to 2 mm, a third of the size; exact: float32 bit for bit (default: compact)",
    )
    arguments = parser.parse_args()

    from pcdet_poly.data.convert.from_npz import import_npz
    from pcdet_poly.data.convert.conversion_summary import print_build

    summary = import_npz(
        arguments.folder,
        arguments.output,
        class_map=dict(arguments.map),
        precision=arguments.precision,
        workers=arguments.workers,
    )
    print_build(summary, arguments.output)
    return 0


def _renaming(text: str) -> tuple[str, str]:
    name, equals, to = text.partition("=")
    if not (name and equals and to):
        raise argparse.ArgumentTypeError(f"{text!r}: NAME=CLASS needed, for example car=VEHICLE")
    return name, to


if __name__ == "__main__":
    sys.exit(run_command(main))
