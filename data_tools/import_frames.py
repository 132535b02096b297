"""`python data_tools/import_frames.py` is the command `pcdet-poly import-frames`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("import-frames")
