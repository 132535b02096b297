"""`python -m pcdet_poly.config` is the command `pcdet-poly config`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("config")
