"""Activation checkpointing: less memory for a second forward pass of the backbone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from pcdet_poly.errors import UserError


def checkpoint_stages(model: nn.Module) -> None:
    """Let every stage (of a module list called `stages`) store its input alone, and compute the rest once more when
    gradients are asked for. Gradients and running statistics stay what they are."""
    lists = [
        list_
        for module in model.modules()
        if isinstance(list_ := getattr(module, "stages", None), (nn.ModuleList, nn.Sequential))
    ]
    if not lists:
        raise UserError("train.checkpoint_activations: this model has no stages to do it for; set it to false")
    for stage in (stage for list_ in lists for stage in list_):
        stage.forward = partial(checkpoint, stage.forward, use_reentrant=False, context_fn=partial(_contexts, stage))


def _contexts(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds the first and the second pass."""
    return nullcontext(), _without_statistics(stage)


@contextmanager
def _without_statistics(stage: nn.Module) -> Iterator[None]:
    """Batch norms would take the same batch into their running statistics twice: give them copies meanwhile."""
    buffers = [(part, name, buffer) for part in stage.modules() for name, buffer in part.named_buffers(recurse=False)]
    for part, name, buffer in buffers:
        setattr(part, name, buffer.clone())
    try:
        yield
    finally:
        for part, name, buffer in buffers:
            setattr(part, name, buffer)
