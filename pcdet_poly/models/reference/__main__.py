"""`python -m pcdet_poly.models.reference` is the command `pcdet-poly reference`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("reference")
