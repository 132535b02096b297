"""`python -m pcdet_poly.visualization.viewer` is the command `pcdet-poly view`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("view")
