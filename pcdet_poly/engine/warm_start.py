"""Starting from weights that another run has learned."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.distributed import rank
from pcdet_poly.engine.checkpoint import choose_weights, find_changed_meaning, load_checkpoint
from pcdet_poly.engine.run import Run
from pcdet_poly.errors import UserError
from pcdet_poly.names.shown_names import print_line


def warm_start(model: nn.Module, config: Config, folder: Path) -> None:
    """Copy into `model` the weights of `train.initial_weights` that fit by name and shape.

    Averaged weights are taken where there are some. A run that has a checkpoint goes on from that instead. What was
    left out is said on stderr.

    Args:
        model: the network; changed in place.
        config: settings of the run.
        folder: the run's folder.

    Raises:
        UserError: where nothing fits, or the classes are the same in another order.
    """
    source, device = config.train.initial_weights, torch.device("cpu")
    if source is None or Run(folder, config, device).list_checkpoints():
        return
    path = Path(source).expanduser()
    if path.is_dir():
        run = Run(path, config, device)
        if not (path / "config.yaml").is_file() and not run.list_checkpoints():
            raise UserError(f"train.initial_weights = {source}: not a run; name a run's folder or a checkpoint")
        path = run.find_checkpoint("last")
    checkpoint = load_checkpoint(path)
    difference = find_changed_meaning(checkpoint.config, config)
    if difference is not None and difference[0] == "data.classes" and sorted(difference[1]) == sorted(difference[2]):
        raise UserError(
            f"{path}: its outputs are {', '.join(difference[1])}, in this order, and data.classes names "
            f"{', '.join(difference[2])}; write data.classes in the order of the weights"
        )
    found, wanted = choose_weights(checkpoint, path), model.state_dict()
    fitting = {name: tensor for name, tensor in found.items() if name in wanted and wanted[name].shape == tensor.shape}
    if not fitting:
        raise UserError(f"train.initial_weights = {source}: no tensor fits this model; name a run of a similar config")
    model.load_state_dict(fitting, strict=False)
    if rank() == 0:
        note = "" if difference is None else "; trained with {} = {}, here {}".format(*difference)
        print_line(f"{path}: {_summarize_weights(list(wanted), set(fitting), set(found))}{note}", file=sys.stderr)


def _summarize_weights(wanted: list[str], fitting: set[str], found: set[str]) -> str:
    fresh = [name for name in wanted if name not in fitting]
    text = f"{len(fitting)} of {len(wanted)} tensors to start from"
    if fresh:
        text += f"; random are {', '.join(fresh[:3])}" + (f" and {len(fresh) - 3} more" if len(fresh) > 3 else "")
    return text + (f"; {unused} of its own unused" if (unused := len(found - fitting)) else "")
