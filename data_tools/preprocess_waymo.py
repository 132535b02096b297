"""Waymo Open Dataset, v1 TFRecords or v2 Parquet -> a frame store to train from.

Finished segments are skipped: run the same command again after an interruption. Inputs and the output
may be URLs (gs://, s3://); docs/conversion.md has the commands.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.errors import run_command
from pcdet_poly.workers import worker_count


def main() -> int:
    """Parse and convert."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="a .tfrecord file, a folder of them, a pattern, or a v2 folder (with lidar/, lidar_box/, ...)",
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder of the store; made if missing")
    parser.add_argument("--workers", metavar="N", type=worker_count, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="ray: spread segments over a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of a running cluster, or auto (default: start one of --workers CPUs on this machine)",
    )
    parser.add_argument(
        "--precision",
        choices=("compact", "exact"),
        default="compact",
        help="compact: coordinates to 2 mm, a third of the size; exact: float32 bit for bit (default: compact)",
    )
    parser.add_argument(
        "--returns", type=int, nargs="+", choices=(1, 2), default=[1, 2], help="LiDAR returns to keep (default: 1 2)"
    )
    parser.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="at a record that cannot be read: stop, or leave it out and name it at the end (default: stop)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers of the summary there, too")
    arguments = parser.parse_args()
    if arguments.ray_address and arguments.executor != "ray":
        parser.error("--ray-address needs --executor ray")

    from pcdet_poly.data.convert.from_waymo import convert_waymo
    from pcdet_poly.data.convert.conversion_summary import print_build, write_build

    summary = convert_waymo(
        arguments.inputs,
        arguments.output,
        returns=sorted(set(arguments.returns)),
        precision=arguments.precision,
        on_error=arguments.on_error,
        workers=arguments.workers,
        executor=arguments.executor,
        ray_address=arguments.ray_address,
    )
    print_build(summary, arguments.output)
    if arguments.json:
        write_build(summary, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
