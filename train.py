"""`python train.py` is the command `pcdet-poly train`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("train")
