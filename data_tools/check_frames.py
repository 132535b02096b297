"""Verify a frame store: every checksum, finite points, sane boxes, counts as the manifest has them.

Prints one row per segment and every problem with file and frame; exit code 2 if there is any.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.errors import UserError, run_command
from pcdet_poly.workers import worker_count


def main() -> int:
    """Parse and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", help="folder of the store")
    parser.add_argument("--workers", metavar="N", type=worker_count, default=1, help="processes (default: 1)")
    arguments = parser.parse_args()

    from rich.console import Console

    from pcdet_poly.data.convert.check_store import check_store
    from pcdet_poly.data.convert.conversion_summary import print_check

    checks = check_store(arguments.folder, workers=arguments.workers)
    print_check(checks, Console())
    problems = [problem for check in checks for problem in check.problems]
    if problems:
        raise UserError(f"{len(problems)} problems, the first: {problems[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
