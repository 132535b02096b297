"""`python -m pcdet_poly.evaluation` is the command `pcdet-poly evaluate`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("evaluate")
