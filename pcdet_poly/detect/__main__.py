"""`python -m pcdet_poly.detect` is the command `pcdet-poly detect`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("detect")
