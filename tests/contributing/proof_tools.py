"""What the programs that prove a change use; they run with the changed copy of the package."""

from __future__ import annotations

from typing import Any

import torch
from numba.core.dispatcher import Dispatcher

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.load.prepare_frame import prepare_frame
from pcdet_poly.models.recipe import Recipe, build_recipe
from pcdet_poly.ops.compiler.registry import select_kernels
from pcdet_poly.structures import Batch
from tests import tiny


def build_tiny(**sections: Any) -> tuple[Recipe, Batch]:
    """A detector of a few weights and two frames. A `model` with a kind takes the place of the tiny one."""
    values = tiny.TINY | sections
    if "kind" not in values["model"]:
        values["model"] = tiny.TINY["model"] | values["model"]
    cfg = Config.model_validate(values)
    torch.manual_seed(0)
    batch = collate([prepare_frame(tiny.frame(number), [], cfg) for number in range(2)], cfg.data.classes)
    return build_recipe(cfg), batch


def take_step(**sections: Any) -> dict[str, float]:
    """The losses of one training step, whose gradients are finite and not all zero."""
    recipe, batch = build_tiny(**sections)
    optimizer = torch.optim.SGD(recipe.model.parameters(), lr=1e-3)
    losses = recipe.criterion(recipe.model(batch), recipe.assign(batch), progress=0.5)
    losses.total.backward()
    gradients = torch.cat([weight.grad.flatten() for weight in recipe.model.parameters() if weight.grad is not None])
    assert gradients.isfinite().all()
    assert gradients.any()
    optimizer.step()
    recipe.model.eval()
    recipe.decode(recipe.model(batch))
    return {name: float(value.detach()) for name, value in losses.parts.items()}


def list_kernels_not_called(package: str) -> list[str]:
    """The kernels of a package that no call so far has reached, not even through another kernel."""
    kernels = select_kernels(package)
    waiting = [kernel for kernel in kernels if kernel.signatures]
    called = set(waiting)
    while waiting:
        function = waiting.pop().py_func
        for name in function.__code__.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, Dispatcher) and value not in called:
                called.add(value)
                waiting.append(value)
    return [f"{kernel.py_func.__module__}.{kernel.__name__}" for kernel in kernels if kernel not in called]
