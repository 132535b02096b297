"""Train one trial of a sweep, or several in lockstep: what `pcdet-poly sweep` starts.

Example: pcdet-poly trial sweeps/mini tiny_focal_seed0
"""

from __future__ import annotations

import argparse

from pcdet_poly.commands.options import add_plugin, parse_local_path, parse_natural_int
from pcdet_poly.commands.parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Add the options of `pcdet-poly trial`."""
    parser.add_argument("folder", metavar="SWEEP_DIR", type=parse_local_path, help="folder that sweep made")
    parser.add_argument("names", metavar="NAME", nargs="+", help="name of a trial")
    parser.add_argument("--num-gpus", metavar="N", type=parse_natural_int, default=0, help="0: on the CPU")
    add_plugin(parser)


def run(options: argparse.Namespace) -> int:
    """Wait for our turn at the run folders, prepare them, and train; on several GPUs this process becomes torchrun."""
    from pcdet_poly.experiments.sweep.folder import SweepFolder
    from pcdet_poly.experiments.sweep.trial import become_training
    from pcdet_poly.experiments.sweep.trial_group import train_group

    folder = SweepFolder(options.folder)
    if options.num_gpus > 1:
        become_training(folder, options.names[0], num_gpus=options.num_gpus)
    return train_group(folder, options.names, num_gpus=options.num_gpus)
