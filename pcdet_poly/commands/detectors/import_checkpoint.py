"""Make a run of ours from a checkpoint of OpenPCDet, CenterPoint or PillarNeXt.

The run's config gets the settings that make it their detector: encoder, inputs, decoding. Each is printed. The folder
is a run like any other: `pcdet-poly test runs/NAME` evaluates it, training starts from it.

Example: pcdet-poly import-checkpoint theirs.pth --config centerpoint_pillar --encoder hard --output runs/imported
"""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pcdet_poly.commands.options import add_output, add_overrides, add_plugin, parse_local_path, parse_path_or_url
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.config.find import find_config
from pcdet_poly.errors import UserError
from pcdet_poly.locks import LOCK, UNFINISHED, is_empty, lock_folder, remove_part_files
from pcdet_poly.names.shown_names import escape_for_terminal, print_line, print_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from pcdet_poly.config.schema import Config
    from pcdet_poly.models.import_checkpoint import Conversion, Decision

ENCODERS = ("hard", "dynamic")
_CHECKPOINT = "step_00000000.pt"
_WRITTEN = {"config.yaml", "environment.json", "checkpoints", _CHECKPOINT, LOCK, UNFINISHED}


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly import-checkpoint`."""
    parser.add_argument("file", metavar="FILE", type=parse_local_path, help=".pth checkpoint of one of them")
    add_overrides(parser, "settings that win over the config's")
    parser.add_argument(
        "--config", required=True, metavar="CONFIG", type=parse_path_or_url, help="our config of the same model"
    )
    add_output(parser, "run folder to make (default: report only)")
    parser.add_argument(
        "--encoder",
        choices=ENCODERS,
        help="how theirs takes points: a limited number of a pillar or voxel (PillarVFE, MeanVFE), or all "
        "(DynPillarVFE, DynMeanVFE); needed where neither the file nor the config tells",
    )
    parser.add_argument(
        "--weights", choices=("raw", "ema"), help="last step's or averaged ones (default: averaged if there are some)"
    )
    parser.add_argument("--partial", action="store_true", help="leave out what only one side has")
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Read, decide the settings, convert, report, write."""
    import torch

    from pcdet_poly.config.load import load_config
    from pcdet_poly.engine.state import build_seeded_recipe
    from pcdet_poly.models.import_checkpoint import convert, read_foreign_weights

    if options.output:
        _refuse_other_contents(options.output)
    path = find_config(options.config)
    config = load_config(path, options.overrides)
    theirs = read_foreign_weights(options.file, options.weights)
    decisions = _decide_settings(options, config, theirs)
    config = load_config(path, [*(one.override for one in decisions if one.changes), *options.overrides])
    model = build_seeded_recipe(config, torch.device("cpu")).model
    conversion = convert(theirs, model.state_dict())
    _print_conversion(conversion)
    _print_decisions(options, decisions, config)
    _refuse_gaps(options, conversion)
    if options.output:
        model.load_state_dict({**model.state_dict(), **conversion.weights})
        _write_run(options, config, model)


def _decide_settings(options: argparse.Namespace, config: Config, theirs: Mapping[str, Tensor]) -> list[Decision]:
    """Decide what makes our network theirs; at a terminal, ask for what the file does not tell."""
    from pcdet_poly.models.import_checkpoint import UntoldEncoderError, decide_settings, find_project

    project, given = find_project(theirs), {text.partition("=")[0].strip() for text in options.overrides}
    try:
        return decide_settings(project, theirs, config, options.encoder, given)
    except UntoldEncoderError as untold:
        if not sys.stdin.isatty():
            raise UserError(f"{options.file}: {untold}") from None
        answer = ""
        while answer not in ENCODERS:
            answer = input(f"{untold.question}. Which is it? [{'/'.join(ENCODERS)}] ").strip()
        return decide_settings(project, theirs, config, answer, given)


def _refuse_gaps(options: argparse.Namespace, conversion: Conversion) -> None:
    """Raise UserError where a tensor of theirs or of ours has no counterpart, unless the user allows it."""
    if not conversion.weights:
        raise UserError(f"{options.file}: no tensor of it fits {options.config}; name the config of the same model")
    if conversion.missing and not options.partial:
        raise UserError(
            f"{options.file}: {len(conversion.missing)} tensors are not in it, the first is {conversion.missing[0]}; "
            "use the config of the same model, or --partial to keep our starting weights there"
        )
    if conversion.unused and not options.partial:
        raise UserError(
            f"{options.file}: {len(conversion.unused)} of its tensors have no place here, the first is "
            f"{conversion.unused[0]}; use the config of the same model, or --partial to leave them out"
        )


def _write_run(options: argparse.Namespace, config: Config, model: nn.Module) -> None:
    """Make the run folder, with `model` as its checkpoint after 0 steps."""
    import torch

    from pcdet_poly.engine.checkpoint import Checkpoint, config_values, save_checkpoint
    from pcdet_poly.engine.run import start_run

    with _make_whole(options.output):
        run = start_run(options.output, config, torch.device("cpu"), resume=False)
        weights = model.state_dict()
        save_checkpoint(run.checkpoint_path(0), Checkpoint(0, 1, config_values(config), weights, {}, {}))
        print_line(f"{options.output}: config.yaml, checkpoints/; evaluate with: pcdet-poly test {options.output}")


def _refuse_other_contents(output: Path) -> None:
    """Raise UserError where something is in the run's folder, unless a killed import left it there."""
    if not is_empty(output) and not ((output / UNFINISHED).exists() and _list_names(output) <= _WRITTEN):
        raise UserError(f"{output}: already there; choose another --output")


def _list_names(output: Path) -> set[str]:
    """List what lies in a run's folder and among its checkpoints, but for temporary files."""
    paths = [*output.iterdir(), *(output / "checkpoints").glob("*")]
    return {path.name for path in paths if not (path.name.startswith(".") and path.suffix == ".part")}


@contextmanager
def _make_whole(output: Path) -> Iterator[None]:
    """Lock the run's folder and mark it as unfinished while an import writes; an error leaves nothing there."""
    with lock_folder(output, work="import"):
        _refuse_other_contents(output)  # another one may have ended since we looked
        try:
            (output / UNFINISHED).touch()
            _remove_written(output)
            yield
        except BaseException:
            _remove_written(output)
            raise
        finally:
            (output / UNFINISHED).unlink(missing_ok=True)


def _remove_written(output: Path) -> None:
    """Remove what an import has written, and nothing that somebody else has put there."""
    for name in ("config.yaml", "environment.json", f"checkpoints/{_CHECKPOINT}"):
        (output / name).unlink(missing_ok=True)
    with suppress(OSError):  # not there, or something else lies in it
        remove_part_files(output / "checkpoints")
        (output / "checkpoints").rmdir()


def _print_conversion(conversion: Conversion) -> None:
    """Print one row per tensor, and the counts."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{conversion.project} -> pcdet_poly")
    for head in ("theirs", "ours", "shape", "what was done"):
        table.add_column(head, overflow="fold")
    for line in conversion.lines:
        cells = (line.source or "-", line.target or "-", " x ".join(map(str, line.shape)), line.note)
        table.add_row(*map(escape_for_terminal, cells))
    Console(width=None if sys.stdout.isatty() else 160, markup=False).print(table)
    used = sum(line.used for line in conversion.lines)
    print_line(
        f"{used} tensors taken, {sum(not line.target for line in conversion.lines)} of theirs not used, "
        f"{len(conversion.missing)} of ours not given"
    )


def _print_decisions(options: argparse.Namespace, decisions: Sequence[Decision], config: Config) -> None:
    """Print every setting that was decided, and what no weight tells."""
    from pcdet_poly.models.import_checkpoint.foreign_file import has_averages
    from pcdet_poly.models.import_checkpoint.peer_settings import describe_untold

    averaged = options.weights != "raw" and has_averages(options.file)
    print_line(f"weights: {'moving averages' if averaged else 'of the last step'}")
    for one in decisions:
        print_line(f"{one.setting} = {one.value}: {one.reason}{'' if one.changes else ' (unchanged)'}")
    print_lines(*describe_untold(config))
