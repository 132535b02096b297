"""Train one trial of a sweep: what `pcdet-poly sweep` starts for each of them.

Example: pcdet-poly trial sweeps/mini tiny_focal_seed0
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import add_plugin, parse_local_path, parse_natural_int
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly trial`."""
    parser.add_argument("folder", metavar="SWEEP_DIR", type=parse_local_path, help="folder that sweep made")
    parser.add_argument("name", metavar="NAME", help="name of the trial")
    parser.add_argument("--num-gpus", metavar="N", type=parse_natural_int, default=0, help="0: on the CPU")
    add_plugin(parser)


def run(options: argparse.Namespace) -> None:
    """Wait for our turn at the run folder, prepare it, and become the training."""
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.experiments.sweep.trial import become_training

    become_training(SweepFolder(options.folder), options.name, num_gpus=options.num_gpus)
