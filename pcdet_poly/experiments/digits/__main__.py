"""`python -m pcdet_poly.experiments.digits`."""

from __future__ import annotations

import sys

from pcdet_poly.errors import run_command
from pcdet_poly.experiments.digits.study import main

if __name__ == "__main__":
    sys.exit(run_command(main))
