"""Starting from weights that another run has learned."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from pcdet_poly.config.schema import Config
from pcdet_poly.distributed import rank
from pcdet_poly.engine.checkpoint import chosen_weights, load_checkpoint
from pcdet_poly.engine.run import Run
from pcdet_poly.errors import UserError


def warm_start(model: nn.Module, config: Config, folder: Path) -> None:
    """Copy into `model` what fits by name and shape of `train.initial_weights`, averaged weights where there are some.

    A run whose `folder` has a checkpoint goes on from that instead. Says on stderr what was left out;
    raises UserError where nothing fits.
    """
    source, device = config.train.initial_weights, torch.device("cpu")
    if source is None or Run(folder, config, device).newest_checkpoints():
        return
    path = Path(source)
    if path.is_dir():
        path = Run(path, config, device).find_checkpoint("last")
    found, wanted = chosen_weights(load_checkpoint(path), path), model.state_dict()
    fitting = {name: tensor for name, tensor in found.items() if name in wanted and wanted[name].shape == tensor.shape}
    if not fitting:
        raise UserError(f"train.initial_weights = {source}: no tensor fits this model; name a run of a similar config")
    model.load_state_dict(fitting, strict=False)
    if rank() == 0:
        print(f"{path}: {_summary(list(wanted), set(fitting), set(found))}", file=sys.stderr)


def _summary(wanted: list[str], fitting: set[str], found: set[str]) -> str:
    fresh = [name for name in wanted if name not in fitting]
    text = f"{len(fitting)} of {len(wanted)} tensors to start from"
    if fresh:
        text += f"; random are {', '.join(fresh[:3])}" + (f" and {len(fresh) - 3} more" if len(fresh) > 3 else "")
    return text + (f"; {unused} of its own unused" if (unused := len(found - fitting)) else "")
