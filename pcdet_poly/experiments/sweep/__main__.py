"""`python -m pcdet_poly.experiments.sweep` is the command `pcdet-poly sweep`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("sweep")
