"""How an operation finds the code that computes it on a device: the one place of ops/ that asks for a tensor's device.

An operation `ops/<file>.py` has two back ends, `ops/cpu/<file>.py` and `ops/gpu/<file>.py`, with functions of the same
names and arguments. Neither is imported before its first use.

- An operation that is one kernel is declared with `define_operation`. torch picks its back end, and `torch.compile`
  sees one node of its graph, `torch.ops.pcdet_poly.<name>`.
- An operation made of several of torch's own, such as a convolution with its gradient, calls the function of
  `find_back_end(file, tensor)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

_IS_INTERPRETED: ContextVar[bool] = ContextVar("is_interpreted", default=False)
_LIBRARY = torch.library.Library("pcdet_poly", "DEF")  # type: ignore[no-untyped-call]


def find_back_end(file: str, tensor: Tensor) -> Any:
    """Find the module `file` of the back end for the device of `tensor`; whatever is not "cpu" is a GPU."""
    return _import_back_end("cpu" if tensor.device.type == "cpu" else "gpu", file)


def find_autocast_dtype(tensor: Tensor) -> torch.dtype:
    """Find the type that torch's own convolutions would compute in: inside autocast that of the context, else as given.

    A CPU has no products of float16 worth the name; there float16 stays float32.
    """
    kind = tensor.device.type
    if not torch.is_autocast_enabled(kind) or tensor.dtype == torch.float64:
        return tensor.dtype
    dtype = torch.get_autocast_dtype(kind)
    return torch.float32 if kind == "cpu" and dtype == torch.float16 else dtype


def define_operation(schema: str, *, file: str, fake: Callable) -> None:
    """Declare an operation that is one kernel.

    Args:
        schema: name, arguments and result as torch writes them, such as "iou(Tensor a, Tensor b) -> Tensor".
        file: of the back ends. The function `name` in ops/cpu/ takes and returns numpy arrays where `schema` has
            tensors; the one in ops/gpu/ takes and returns CUDA tensors.
        fake: takes the same arguments and returns empty tensors of the right shape, dtype and device.
    """
    name = schema[: schema.index("(")]

    def compute_on_cpu(*arguments: Any) -> Any:
        if _IS_INTERPRETED.get():
            return compute_on_gpu(*arguments)
        arrays = (x.detach().numpy() if isinstance(x, Tensor) else x for x in arguments)
        result = find_function("cpu", file, name)(*arrays)
        return tuple(map(torch.from_numpy, result)) if isinstance(result, tuple) else torch.from_numpy(result)

    def compute_on_gpu(*arguments: Any) -> Any:
        return find_function("gpu", file, name)(*arguments)

    _LIBRARY.define(schema)  # type: ignore[no-untyped-call]
    _LIBRARY.impl(name, compute_on_cpu, "CPU")  # type: ignore[no-untyped-call]
    _LIBRARY.impl(name, compute_on_gpu, "CUDA")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pcdet_poly::{name}", fake, lib=_LIBRARY)


@contextmanager
def interpret_kernels() -> Iterator[None]:
    """Compute operations that are one kernel by the GPU's kernels on CPU tensors, in Triton's interpreter.

    TRITON_INTERPRET=1 must have been set before Triton was imported.
    """
    token = _IS_INTERPRETED.set(True)
    try:
        with np.errstate(all="ignore"):  # NaN and infinity are among the inputs
            yield
    finally:
        _IS_INTERPRETED.reset(token)


def define_gradient(name: str, *, save: Callable, backward: Callable) -> None:
    """Make a declared operation differentiable.

    Args:
        name: of the operation.
        save: called as `save(ctx, inputs, output)` after the operation.
        backward: called as `backward(ctx, *gradients)`, returns a gradient or None for each input.
    """
    torch.library.register_autograd(f"pcdet_poly::{name}", backward, setup_context=save, lib=_LIBRARY)


def check_shape(operation: str, name: str, tensor: Tensor, sizes: str, *, is_whole: bool = False) -> None:
    """Raise ValueError unless a tensor has the shape, and the kind of numbers, that an operation reads.

    Nothing is asked of a GPU: shapes and types are known here, numbers are not.

    Args:
        operation: the public function, for the message.
        name: the argument, for the message.
        tensor: what was given.
        sizes: its dimensions, such as "N 7" or "P 3+": a number stands for itself, one with + for itself or more, a
            letter for any size, "..." in front for any dimensions.
        is_whole: whether it holds whole numbers, such as positions and labels.
    """
    wanted, given = sizes.removeprefix("... ").split(), tuple(tensor.shape)
    tail = given[len(given) - len(wanted) :] if sizes.startswith("...") else given
    fits = len(tail) == len(wanted) and all(map(_fits_size, tail, wanted))
    if not fits:
        needed = sizes.replace(" ", ", ").replace("+", " or more")
        raise ValueError(f"{operation}: {name} {given} given, ({needed}) needed")
    if is_whole and (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"{operation}: {name} of {tensor.dtype} given, whole numbers (int64) needed")


def _fits_size(size: int, wanted: str) -> bool:
    if wanted.endswith("+"):
        return size >= int(wanted[:-1])
    return not wanted.isdecimal() or size == int(wanted)


def check_lengths(operation: str, **tensors: Tensor | None) -> None:
    """Raise ValueError unless all tensors that are given have as many rows as the first one."""
    given = {name: tensor.shape[0] for name, tensor in tensors.items() if tensor is not None}
    (first, length), *others = given.items()
    for name, other in others:
        if other != length:
            raise ValueError(f"{operation}: {other} rows of {name} for {length} of {first}; give as many of each")


def to_float_rows(tensor: Tensor) -> Tensor:
    """Convert to what kernels take: float32, contiguous, without gradient."""
    return tensor.detach().to(torch.float32).contiguous()


def to_int_row(tensor: Tensor) -> Tensor:
    """Convert to what kernels take: int64, contiguous."""
    return tensor.to(torch.int64).contiguous()


@cache
def find_function(device: str, file: str, name: str) -> Callable[..., Any]:
    """Find the function that computes an operation.

    Args:
        device: "cpu" or "gpu".
        file: of the back ends.
        name: of the operation.

    Returns:
        A function of numpy arrays for "cpu", of CUDA tensors for "gpu".
    """
    function: Callable = getattr(_import_back_end(device, file), name)
    return function


@cache
def _import_back_end(device: str, file: str) -> ModuleType:
    return import_module(f"pcdet_poly.ops.{device}.{file}")
