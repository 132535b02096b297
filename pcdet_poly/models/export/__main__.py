"""`python -m pcdet_poly.models.export` is the command `pcdet-poly export`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("export")
