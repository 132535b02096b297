"""`python -m pcdet_poly.models.summary` is the command `pcdet-poly summary`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("summary")
