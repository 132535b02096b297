"""`python -m pcdet_poly.config schema`: print the JSON schema of config files, for editors."""

from __future__ import annotations

import argparse
import sys

from pcdet_poly.config.load import json_schema
from pcdet_poly.errors import run_command


def main() -> int:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m pcdet_poly.config", description=__doc__)
    parser.add_argument("what", choices=["schema"], help="schema: JSON schema of config files")
    parser.parse_args()
    sys.stdout.write(json_schema())
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
