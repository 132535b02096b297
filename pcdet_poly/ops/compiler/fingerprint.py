"""Kernel -> a fingerprint of everything that its machine code depends on.

numba compiles Python's bytecode, so the bytecode of a kernel and of every function it calls, whatever file
holds them, is what counts. Comments, docstrings, annotations, line numbers and the rest of the file are not in it.
Values of module-level names are frozen into machine code; those that a kernel names are part of its fingerprint.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core import config
from numba.core.dispatcher import Dispatcher

_DIGITS = 16  # of 64 bits: two of a thousand kernels meet with a probability below 1e-13

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

# Settings of numba, from its environment variables, that change the machine code it makes.
_SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "ENABLE_AVX",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML",
)


def name_compiler() -> str:
    """Name version and settings of numba, as a part of a file name. The processor is part of numba's own keys."""
    settings = repr([(name, getattr(config, name, None)) for name in _SETTINGS])
    return f"numba{numba.__version__}-{hashlib.sha256(settings.encode()).hexdigest()[:6]}"


def compute_fingerprint(kernel: Dispatcher) -> str:
    """Compute 16 hexadecimal digits that change with the code of `kernel` and all it calls, and with any value named.

    Only a kernel whose module has run to its end has one: what stands below it in the file belongs to it.
    """
    digest = hashlib.sha256()
    functions: list[Any] = [kernel]
    for function in functions:  # grows while it is walked through; each function once, so circles end
        for part in _describe_function(function, functions):
            digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:_DIGITS]


def _describe_function(function: Any, functions: list[Any]) -> Iterator[str]:
    """Describe code, options and values. Functions named are appended to `functions` and told by their position."""
    if isinstance(function, Dispatcher):
        yield repr(sorted(function.targetoptions.items()))
        function = function.py_func
    code = _read_code(function.__code__)
    yield code.text
    for names in code.global_names:
        yield f"{names}={_describe_value(_look_up(function, names), functions)}"
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in (*cells, function.__defaults__, *sorted((function.__kwdefaults__ or {}).items())):
        yield _describe_value(value, functions)


@dataclass(frozen=True)
class _Code:
    text: str  # the instructions
    global_names: tuple[tuple[str, ...], ...]  # module-level names with the attributes read from them: ("np", "pi")


@cache
def _read_code(code: CodeType) -> _Code:
    kind = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR)
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    lines = [repr((code.co_name, arguments, code.co_kwonlyargcount, kind))]
    names: list[tuple[str, ...]] = []
    instructions = list(dis.get_instructions(code))
    for position, instruction in enumerate(instructions):
        value = instruction.argval
        if isinstance(value, CodeType):  # an inner function or comprehension
            inner = _read_code(value)
            names.extend(inner.global_names)
            value = inner.text
        elif isinstance(value, frozenset):  # of a constant `in {...}`, in an order that differs between processes
            value = sorted(map(repr, value))
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.append((instruction.argval, *_follow_attributes(instructions, position)))
        if instruction.opname != "EXTENDED_ARG":
            lines.append(f"{instruction.opname} {value!r}")
    return _Code("\n".join(lines), tuple(dict.fromkeys(names)))


def _follow_attributes(instructions: list[dis.Instruction], position: int) -> Iterator[str]:
    for instruction in instructions[position + 1 :]:
        if instruction.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            return
        yield instruction.argval


def _look_up(function: FunctionType, names: tuple[str, ...]) -> Any:
    """Look up the value that a function's code reads: attributes are followed through modules only."""
    name, *attributes = names
    value = function.__globals__.get(name, name)  # a built-in function is told by its name
    for attribute in attributes:
        if not isinstance(value, ModuleType):
            break
        value = getattr(value, attribute, attribute)
    return value


def _describe_value(value: Any, functions: list[Any]) -> str:
    value = getattr(value, "_defn", value)  # what writes the machine code of an `intrinsic`
    if isinstance(value, Dispatcher) or (isinstance(value, FunctionType) and not _is_of_numpy(value)):
        position = next((i for i, function in enumerate(functions) if function is value), len(functions))
        if position == len(functions):
            functions.append(value)
        return f"function {position}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({', '.join(_describe_value(item, functions) for item in value)})"
    if isinstance(value, np.ndarray):
        return f"array({value.dtype!r}, {value.shape}, {hashlib.sha256(value.tobytes()).hexdigest()})"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, type) or callable(value):
        fields = getattr(value, "_fields", "")  # of a named tuple
        name = getattr(value, "__qualname__", None) or _write_without_addresses(value)
        return f"{getattr(value, '__module__', '')}.{name}{fields}"
    return f"{type(value).__qualname__} {_write_without_addresses(value)}"


def _write_without_addresses(value: Any) -> str:
    """Write a value as Python shows it, but for addresses in memory, which differ between processes."""
    return _ADDRESS.sub("", repr(value))


def _is_of_numpy(function: FunctionType) -> bool:
    """Tell whether numba replaces the function by its own version."""
    return (function.__module__ or "").startswith("numpy.")
