"""`python -m pcdet_poly.experiments.simulate_rules` is the command `pcdet-poly simulate-rules`."""

from pcdet_poly.commands.main import exit_with

if __name__ == "__main__":
    exit_with("simulate-rules")
