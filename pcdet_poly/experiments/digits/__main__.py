"""`python -m pcdet_poly.experiments.digits` is the command `pcdet-poly digits`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("digits")
