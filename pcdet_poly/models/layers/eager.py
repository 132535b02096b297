"""Methods that torch.compile leaves alone, without loading the compiler for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def run_eagerly(function: Callable[P, R]) -> Callable[P, R]:
    """Let torch.compile break its graph at `function`, and compile nothing that `function` calls.

    The decorator torch.compiler.disable does the same, but imports the compiler where a class is defined: two seconds
    of every start, for programs that compile nothing.

    Args:
        function: what must run as it is written.

    Returns:
        A function of the same arguments and result.
    """
    disabled: list[Callable[P, R]] = []

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not disabled:
            if "torch._dynamo" not in sys.modules:  # nothing can be compiling
                return function(*args, **kwargs)
            torch._dynamo.decorators.skip(call)  # this frame has nothing to compile
            disabled.append(torch.compiler.disable(function))  # type: ignore[no-untyped-call]
        return disabled[0](*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined] # what the compiler looks for: it does not look inside
    return call
