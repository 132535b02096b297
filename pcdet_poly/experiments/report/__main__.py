"""`python -m pcdet_poly.experiments.report` is the command `pcdet-poly report`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("report")
