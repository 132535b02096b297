"""Activation checkpointing: less memory for a second forward pass of the backbone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from pcdet_poly.errors import UserError


def list_stages(model: nn.Module) -> list[nn.Module]:
    """Return the modules in every list called `stages`. Raises UserError where there is none."""
    lists = [getattr(module, "stages", None) for module in model.modules()]
    stages = [stage for list_ in lists if isinstance(list_, (nn.ModuleList, nn.Sequential)) for stage in list_]
    if not stages:
        raise UserError("train.checkpoint_activations: this model has no stages to do it for; set it to false")
    return stages


def enable_checkpointing(model: nn.Module, *, compiled: bool = False) -> None:
    """Let every stage store its input alone, and compute the rest once more when gradients are asked for.

    Gradients and running statistics stay what they are. With `compiled`, compile each stage. A copy of
    `model` would go on computing with the stages of `model`.
    """
    for stage in list_stages(model):
        inside = torch.compile(stage.forward) if compiled else stage.forward
        twice = partial(checkpoint, inside, use_reentrant=False, context_fn=partial(_build_contexts, stage))
        # The compiler would want to know the contexts.
        stage.forward = torch.compiler.disable(twice)  # type: ignore[no-untyped-call]


def _build_contexts(stage: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return what surrounds the first and the second forward pass of a stage."""
    return nullcontext(), _keep_statistics(stage)


@contextmanager
def _keep_statistics(stage: nn.Module) -> Iterator[None]:
    """Let batch norms change copies of their running statistics inside, and forget the copies afterwards.

    Otherwise the second pass would take the same batch into the statistics once more.
    """
    buffers = [(part, name, buffer) for part in stage.modules() for name, buffer in part.named_buffers(recurse=False)]
    for part, name, buffer in buffers:
        setattr(part, name, buffer.clone())
    try:
        yield
    finally:
        for part, name, buffer in buffers:
            setattr(part, name, buffer)
