"""Check a GPU: kernels equal to the CPU's, what operations, training and inference take, peak memory, several GPUs.

Under 12 minutes; a check that was stopped goes on where it was. Its tables are a section of a Markdown file. Exit
code 1 where something is wrong, 2 without a GPU.

Example: pcdet-poly gpu-check --output gpu.md
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcdet_poly.commands.file_kinds import MARKDOWN
from pcdet_poly.commands.options import add_output
from pcdet_poly.commands.parser import CommandParser
from pcdet_poly.errors import UserError, suggest_word
from pcdet_poly.names.shown_names import print_line

if TYPE_CHECKING:
    from pcdet_poly.experiments.gpu_check.place import Place


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly gpu-check`."""
    add_output(parser, "Markdown file for the tables", metavar="FILE", parse=MARKDOWN, default=Path("gpu_check.md"))
    parser.add_argument(
        "--parts",
        metavar="P,P",
        help="of equality, operations, training, inference, processes, spconv (default: all)",
    )
    parser.add_argument("--again", action="store_true", help="do again what an earlier check of this GPU has done")
    parser.add_argument(
        "--dry-run", action="store_true", help="on the CPU, tiny, kernels in Triton's interpreter; no number means much"
    )


def run(options: argparse.Namespace) -> int:
    """Run the parts, write after each, print what is wrong."""
    if options.dry_run:
        os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton
    import torch

    if not options.dry_run and not torch.cuda.is_available():
        raise UserError("gpu-check: torch sees no GPU here; --dry-run goes through all parts on the CPU")
    from pcdet_poly.experiments.gpu_check.checks import PARTS, run_part
    from pcdet_poly.experiments.gpu_check.place import Place
    from pcdet_poly.experiments.gpu_check.report import keep_found, list_faults, read_found, write_section

    names = read_parts(options.parts, list(PARTS))
    place = Place("cpu" if options.dry_run else "cuda")
    machine, kept = describe_machine(place), options.output.with_suffix(".json")
    found = {} if options.again else read_found(kept, machine)
    for name in names:
        items = found.setdefault(name, {})
        for item, values in run_part(PARTS[name], place, items, lambda line: print_line(line, file=sys.stderr)):
            items[item] = values
            keep_found(kept, machine, found)
        write_section(options.output, machine, found)
    faults = list_faults(found)
    for line in faults:
        print_line(f"wrong: {line}")
    print_line(f"{options.output}: {len(found)} parts, {len(faults)} faults")
    return 1 if faults else 0


def read_parts(text: str | None, known: list[str]) -> list[str]:
    """Read the names of parts, separated by commas; all where none is given. Raises UserError for others."""
    names = text.split(",") if text else known
    for name in names:
        if name not in known:
            nearest = suggest_word(name, known) or f"; choose from {', '.join(known)}"
            raise UserError(f"--parts {name}: no such part{nearest}")
    return names


def describe_machine(place: Place) -> dict[str, Any]:
    """Describe what a result depends on."""
    import torch

    from pcdet_poly.engine.environment import describe_environment

    known = describe_environment(torch.device(place.device), 0)
    return {"device": place.name, **{name: known[name] for name in ("pcdet_poly", "git", "packages")}}
