"""The paper's findings on real digits, on one core: `python -m pcdet_poly.experiments.digits --output DIR`.

Trains a small residual network with cross-entropy, its first N polynomials alone, and Poly-1, with several
seeds each; writes table.md, figure.png and results.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.errors import UserError, run_command
from pcdet_poly.files import atomic_path, write_json

if TYPE_CHECKING:
    from pcdet_poly.experiments.digits.arms import Arm
    from pcdet_poly.experiments.digits.train import Outcome, Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Train everything, write the report, print the table."""
    options = _parser().parse_args(arguments)
    if options.seeds < 2:
        raise UserError(f"--seeds {options.seeds}: an interval needs at least 2 seeds")
    from pcdet_poly.experiments.digits import results as digits_report
    from pcdet_poly.experiments.digits import results_figure as digits_figure
    from pcdet_poly.experiments.digits.arms import quick_arms, study_arms
    from pcdet_poly.experiments.digits.train import Plan
    from pcdet_poly.experiments.figures import save

    plan = Plan(num_train=300, epochs=5) if options.quick else Plan()
    outcomes = _train(quick_arms() if options.quick else study_arms(), range(options.seeds), plan)
    found = digits_report.rows(outcomes)
    table = digits_report.markdown(found, outcomes, plan)
    with atomic_path(options.output / "table.md") as temporary:
        temporary.write_text(table)
    write_json(options.output / "results.json", digits_report.as_json(found, plan, options.seeds))
    save(digits_figure.draw(outcomes), options.output / "figure.png")
    print(table)
    return 0


def _train(arms: Sequence[Arm], seeds: Sequence[int], plan: Plan) -> dict[Arm, list[Outcome]]:
    """Outcomes of every arm, one per seed."""
    import torch

    from pcdet_poly.experiments.digits.train import train_arm

    torch.set_num_threads(1)  # the network is too small to share
    outcomes: dict[Arm, list[Outcome]] = {}
    started = time.perf_counter()
    for number, arm in enumerate(arms, start=1):
        outcomes[arm] = [train_arm(arm, seed, plan) for seed in seeds]
        seconds = time.perf_counter() - started
        left = seconds / number * (len(arms) - number)
        print(f"{number}/{len(arms)} {arm.name}: {seconds:.0f} s, about {left:.0f} s to go", file=sys.stderr)
    return outcomes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pcdet_poly.experiments.digits", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for table and figure")
    parser.add_argument("--seeds", type=int, default=8, help="trainings per loss (default: 8)")
    parser.add_argument("--quick", action="store_true", help="few losses, five epochs: to see that it runs")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
