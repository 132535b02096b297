"""How an operation becomes known to torch: its versions for each device, the shape of its result, its gradient.

`torch.compile` sees such an operation as one node of its graph, `torch.ops.pcdet_poly.<name>`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

_LIBRARY = torch.library.Library("pcdet_poly", "DEF")  # type: ignore[no-untyped-call]


def define(schema: str, *, file: str, fake: Callable) -> None:
    """Define an operation that two functions of its name compute, imported on first use.

    `name` in ops/cpu/`file`.py takes and returns numpy arrays where `schema`, for instance
    "iou(Tensor a, Tensor b) -> Tensor", has tensors; `name` in ops/gpu/`file`.py takes and returns CUDA
    tensors; `fake` returns empty tensors of the right shape, dtype and device.
    """
    name = schema[: schema.index("(")]

    def on_cpu(*arguments: Any) -> Any:
        arrays = (x.detach().numpy() if isinstance(x, Tensor) else x for x in arguments)
        result = _function("cpu", file, name)(*arrays)
        return tuple(map(torch.from_numpy, result)) if isinstance(result, tuple) else torch.from_numpy(result)

    def on_gpu(*arguments: Any) -> Any:
        return _function("gpu", file, name)(*arguments)

    _LIBRARY.define(schema)  # type: ignore[no-untyped-call]
    _LIBRARY.impl(name, on_cpu, "CPU")  # type: ignore[no-untyped-call]
    _LIBRARY.impl(name, on_gpu, "CUDA")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pcdet_poly::{name}", fake, lib=_LIBRARY)


def define_gradient(name: str, *, save: Callable, backward: Callable) -> None:
    """Make the operation `name` differentiable: `save(ctx, inputs, output)`, then `backward(ctx, *gradients)`."""
    torch.library.register_autograd(f"pcdet_poly::{name}", backward, setup_context=save, lib=_LIBRARY)


def float_rows(tensor: Tensor) -> Tensor:
    """As kernels take it: float32, contiguous, without gradient."""
    return tensor.detach().to(torch.float32).contiguous()


def int_row(tensor: Tensor) -> Tensor:
    """As kernels take it: int64, contiguous."""
    return tensor.to(torch.int64).contiguous()


@cache
def _function(device: str, file: str, name: str) -> Callable[..., np.ndarray | Tensor | tuple]:
    function: Callable = getattr(import_module(f"pcdet_poly.ops.{device}.{file}"), name)
    return function
