"""Fingerprints are of code and values, and the same in every process."""

from __future__ import annotations

import functools
import importlib
import pkgutil

import pytest
from numba.core.dispatcher import Dispatcher

import pcdet_poly.ops
from pcdet_poly.ops.compiler import fingerprint, registry


def list_described_parts(kernel: Dispatcher) -> list[str]:
    functions: list[object] = [kernel]
    return [part for function in functions for part in fingerprint._describe_function(function, functions)]


@pytest.fixture(scope="module")
def kernels() -> tuple[Dispatcher, ...]:
    for module in pkgutil.walk_packages(pcdet_poly.ops.__path__, "pcdet_poly.ops."):
        if ".gpu" not in module.name:
            importlib.import_module(module.name)
    return registry.select_kernels("pcdet_poly")


def test_no_address_in_memory_is_in_one(kernels: tuple[Dispatcher, ...]) -> None:
    """With it every process would compile the kernel again: `object at 0x7f...` is another one in each."""
    assert len(kernels) > 40
    with_address = {
        f"{kernel.py_func.__module__}.{kernel.py_func.__name__}: {part}"
        for kernel in kernels
        for part in list_described_parts(kernel)
        if " at 0x" in part
    }
    assert with_address == set()


@pytest.mark.parametrize("make", [object, lambda: [object()], lambda: functools.partial(print, object())])
def test_equal_values_at_other_addresses_are_described_alike(make: object) -> None:
    one, other = make(), make()  # type: ignore[operator]
    assert repr(one) != repr(other)
    assert fingerprint._describe_value(one, []) == fingerprint._describe_value(other, [])
