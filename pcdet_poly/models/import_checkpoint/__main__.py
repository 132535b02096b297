"""`python -m pcdet_poly.models.import_checkpoint` is the command `pcdet-poly import-checkpoint`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("import-checkpoint")
