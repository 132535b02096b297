"""`python -m pcdet_poly.models.import_checkpoint FILE.pth --config C --output runs/NAME`: their weights, our run.

The folder it makes is a run like any other: `python test.py runs/NAME` evaluates it, train.py starts from it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pcdet_poly.config.load import load_config
from pcdet_poly.errors import UserError, run_command
from pcdet_poly.models.import_checkpoint.convert import Conversion, convert, read_foreign


def main() -> int:
    """Read, convert, report, write."""
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.models.import_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help=".pth checkpoint of OpenPCDet or CenterPoint")
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="settings that win over the config's")
    parser.add_argument("--config", required=True, metavar="C", help="our config of the same model")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="run folder to make (default: report only)")
    parser.add_argument("--partial", action="store_true", help="keep our starting weights for tensors it lacks")
    arguments = parser.parse_intermixed_args()
    config = load_config(arguments.config, arguments.overrides)

    import torch

    from pcdet_poly.engine.state import seeded_recipe

    model = seeded_recipe(config, torch.device("cpu")).model
    conversion = convert(read_foreign(arguments.file), model.state_dict())
    _print(conversion)
    if not conversion.weights:
        raise UserError(f"{arguments.file}: no tensor of it fits {arguments.config}; name the config of the same model")
    if conversion.missing and not arguments.partial:
        raise UserError(
            f"{arguments.file}: {len(conversion.missing)} tensors are not in it, the first is {conversion.missing[0]}; "
            "use the config of the same model, or --partial to keep our starting weights there"
        )
    if arguments.output:
        from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
        from pcdet_poly.engine.run import start_run

        model.load_state_dict({**model.state_dict(), **conversion.weights})
        run = start_run(arguments.output, config, torch.device("cpu"), resume=False)
        weights = model.state_dict()
        save_checkpoint(run.checkpoint_at(0), Checkpoint(0, 1, config_values(config), weights, {}, {}))
        print(f"{arguments.output}: config.yaml, checkpoints/; evaluate with: python test.py {arguments.output}")
    return 0


def _print(conversion: Conversion) -> None:
    table = Table(title=f"{conversion.project} -> pcdet_poly")
    for head in ("theirs", "ours", "shape", "what was done"):
        table.add_column(head, overflow="fold")
    for line in conversion.lines:
        table.add_row(line.source or "-", line.target or "-", " x ".join(map(str, line.shape)), line.note)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    used = sum(line.used for line in conversion.lines)
    print(
        f"{used} tensors taken, {sum(not line.target for line in conversion.lines)} of theirs not used, "
        f"{len(conversion.missing)} of ours not given"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
