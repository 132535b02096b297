"""`python data_tools/build_object_bank.py` is the command `pcdet-poly build-bank`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("build-bank")
