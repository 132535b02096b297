"""`python -m pcdet_poly` is the command `pcdet-poly`."""

import sys

from pcdet_poly.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
