"""Make a run of ours from a checkpoint of OpenPCDet or CenterPoint.

The folder it makes is a run like any other: `pcdet-poly test runs/NAME` evaluates it, training starts from it.

Example: pcdet-poly import-checkpoint theirs.pth --config centerpoint_pillar --output runs/imported
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from pcdet_poly.commands.configs import find_config
from pcdet_poly.commands.options import add_output, add_overrides, add_plugin, parse_local_path, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from pcdet_poly.config.schema import Config
    from pcdet_poly.models.import_checkpoint.convert_weights import Conversion


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly import-checkpoint`."""
    parser.add_argument(
        "file", metavar="FILE", type=parse_local_path, help=".pth checkpoint of OpenPCDet or CenterPoint"
    )
    add_overrides(parser, "settings that win over the config's")
    parser.add_argument(
        "--config", required=True, metavar="CONFIG", type=parse_path_or_url, help="our config of the same model"
    )
    add_output(parser, "run folder to make (default: report only)")
    parser.add_argument("--partial", action="store_true", help="keep our starting weights for tensors it lacks")
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Read, convert, report, write."""
    from pcdet_poly.config.load import load_config

    config = load_config(find_config(options.config), options.overrides)

    import torch

    from pcdet_poly.engine.state import build_seeded_recipe
    from pcdet_poly.models.import_checkpoint.convert_weights import convert, read_foreign_weights

    model = build_seeded_recipe(config, torch.device("cpu")).model
    conversion = convert(read_foreign_weights(options.file), model.state_dict())
    _print_conversion(conversion)
    if not conversion.weights:
        raise UserError(f"{options.file}: no tensor of it fits {options.config}; name the config of the same model")
    if conversion.missing and not options.partial:
        raise UserError(
            f"{options.file}: {len(conversion.missing)} tensors are not in it, the first is {conversion.missing[0]}; "
            "use the config of the same model, or --partial to keep our starting weights there"
        )
    if options.output:
        model.load_state_dict({**model.state_dict(), **conversion.weights})
        _write_run(options, config, model)


def _write_run(options: argparse.Namespace, config: Config, model: nn.Module) -> None:
    """Make the run folder, with `model` as its checkpoint after 0 steps."""
    import torch

    from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
    from pcdet_poly.engine.run import start_run

    run = start_run(options.output, config, torch.device("cpu"), resume=False)
    weights = model.state_dict()
    save_checkpoint(run.checkpoint_path(0), Checkpoint(0, 1, config_values(config), weights, {}, {}))
    print(f"{options.output}: config.yaml, checkpoints/; evaluate with: python -m pcdet_poly test {options.output}")


def _print_conversion(conversion: Conversion) -> None:
    """Print one row per tensor, and the counts."""
    from rich.console import Console
    from rich.table import Table

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
