"""`python -m pcdet_poly.experiments.paper` is the command `pcdet-poly paper`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("paper")
