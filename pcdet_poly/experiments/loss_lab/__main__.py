"""`python -m pcdet_poly.experiments.loss_lab` is the command `pcdet-poly loss-lab`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("loss-lab")
