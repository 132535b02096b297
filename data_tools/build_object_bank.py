"""Frame stores -> an object bank: every labelled object with its points in one file, to paste into training frames.

Name it in a config as paste.bank. OpenPCDet's `20 %` pastes objects of all frames: leave --every at 1 for that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.errors import run_command
from pcdet_poly.workers import worker_count


def main() -> int:
    """Parse and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", metavar="STORE", nargs="+", help="folder of a frame store")
    parser.add_argument("--output", metavar="FILE", required=True, help="the bank's file, for example objects.arrow")
    parser.add_argument(
        "--every",
        metavar="N",
        type=worker_count,
        default=1,
        help="look at every N-th frame of the concatenated list only (default: 1)",
    )
    parser.add_argument("--workers", metavar="N", type=worker_count, default=1, help="processes (default: 1)")
    arguments = parser.parse_args()

    from pcdet_poly.data.bank.build_bank import build_object_bank

    bank = build_object_bank(arguments.stores, arguments.output, every=arguments.every, workers=arguments.workers)
    label, num_points = bank.column("label"), bank.column("num_points")
    for i, name in enumerate(bank.header.class_names):
        of_class = label == i
        print(f"{name}: {of_class.sum()} objects, {num_points[of_class].sum()} points")
    print(f"{arguments.output}: {len(bank)} objects, {bank.path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
