"""`python test.py` is the command `pcdet-poly test`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("test")
