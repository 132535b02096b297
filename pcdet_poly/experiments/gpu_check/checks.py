"""The parts of the check, each a list of items that fill rows of a table, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.gpu_check.networks import (
    DETECTORS,
    list_variants,
    run_detector,
    train_detector,
)
from pcdet_poly.experiments.gpu_check.operations import (
    OPERATIONS,
    Operation,
    measure_difference,
    prepare_sparse_layer,
)
from pcdet_poly.experiments.gpu_check.place import Place
from pcdet_poly.experiments.gpu_check.several_gpus import compare_processes
from pcdet_poly.ops.sparse_conv import Backend

Item = tuple[str, Callable[[Place], dict[str, Any]]]


@dataclass(frozen=True)
class Part:
    """Some items that belong together."""

    title: str
    budget_s: float  # after which no further item begins
    columns: tuple[str, ...]  # of the table: keys of what an item finds
    list_items: Callable[[Place], Iterator[Item]]


def compare_operation(operation: Operation, place: Place) -> dict[str, Any]:
    """Compute an operation on the device, twice, and on the CPU, and compare."""
    wanted = operation.prepare("cpu", place.sizes)()
    with place.use_kernels():
        compute = operation.prepare(place.device, place.sizes)
        found, again = compute(), compute()
    apart, own = measure_difference(found, wanted), measure_difference(found, again)
    fault = f"differs from the CPU's by {apart:.1e}" if apart > operation.tolerance else None
    if own:
        fault = f"differs from itself in a second run by {own:.1e}"
    return {"verdict": fault or ("equal" if apart == 0 else f"within {apart:.0e}"), "fault": fault}


def time_operation(operation: Operation, place: Place) -> dict[str, Any]:
    """Measure what an operation takes on the device and on the CPU, in one process."""
    cpu_ms = place.measure_ms(operation.prepare("cpu", place.sizes))
    with place.use_kernels():
        compute = operation.prepare(place.device, place.sizes)
        place.start_memory_count()
        ms = place.measure_ms(compute)
    return {"ms": ms, "cpu_ms": cpu_ms, "times": cpu_ms / ms, "gb": place.read_peak_memory_gb()}


def compare_with_spconv(package: Backend, place: Place) -> dict[str, Any]:
    """Compare our sparse convolutions with a package's, results and time."""
    ours = prepare_sparse_layer(place.device, place.sizes)
    theirs = prepare_sparse_layer(place.device, place.sizes, package)
    try:
        apart = measure_difference(ours(), theirs())
    except UserError as error:
        return {"verdict": str(error)}
    ours_ms, theirs_ms = place.measure_ms(ours), place.measure_ms(theirs)
    fault = f"differs from {package}'s by {apart:.1e}" if apart > 1e-2 else None  # theirs multiplies in TF32
    return {"verdict": fault or f"within {apart:.0e}", "ms": ours_ms, "their_ms": theirs_ms, "fault": fault}


def sum_over_gpus(place: Place) -> dict[str, Any]:
    """Sum gradients over two GPUs, where there are two."""
    found = compare_processes(place)
    return {**found, "fault": None if found.get("is_right", True) else "the sum over processes is wrong"}


def _list_operations(check: Callable[[Operation, Place], dict[str, Any]], place: Place) -> Iterator[Item]:
    for operation in OPERATIONS:
        yield operation.name, partial(check, operation)


def _list_networks(check: Callable[..., dict[str, Any]], place: Place) -> Iterator[Item]:
    """Every detector in the usual arithmetic first: what a budget leaves out is the rest."""
    for kind, compiled in list_variants(place):
        for name in DETECTORS:
            how = f"{kind or 'float32'}{', compiled' if compiled else ''}"
            yield f"{name}, {how}", partial(check, name, kind, compiled)


_PACKAGES: tuple[Backend, ...] = ("spconv", "spconv_triton")
PARTS: dict[str, Part] = {
    "equality": Part("Kernels", 90, ("verdict",), partial(_list_operations, compare_operation)),
    "operations": Part("Operations", 60, ("ms", "cpu_ms", "times", "gb"), partial(_list_operations, time_operation)),
    "training": Part("Training", 240, ("steps", "ms", "first", "last", "gb"), partial(_list_networks, train_detector)),
    "inference": Part("Inference", 180, ("ms", "network_ms", "gb"), partial(_list_networks, run_detector)),
    "processes": Part(
        "Several GPUs",
        30,
        ("processes", "is_right", "ms", "mb"),
        lambda place: iter([("sum of gradients", sum_over_gpus)]),
    ),
    "spconv": Part(
        "spconv",
        20,
        ("verdict", "ms", "their_ms"),
        lambda place: iter([(name, partial(compare_with_spconv, name)) for name in _PACKAGES]),
    ),
}


def run_part(
    part: Part, place: Place, known: dict[str, Any], tell: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what each item of a part finds; an item that fails is one that found its error.

    Args:
        part: what to do.
        place: where.
        known: what was found before, by item, which is not done again.
        tell: called with a line about each item.
    """
    begin_s = time.perf_counter()
    for name, check in part.list_items(place):
        if name in known and not {"fault", "left_out"} & {key for key, value in known[name].items() if value}:
            continue
        if time.perf_counter() - begin_s > part.budget_s:
            yield name, {"left_out": f"after {part.budget_s:.0f} s"}
            continue
        started_s = time.perf_counter()
        try:
            found = check(place)
        except torch.OutOfMemoryError:  # no fault of the GPU's
            found = {"left_out": "for want of memory"}
        except Exception as error:  # the next item may work all the same
            found = {"fault": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        outcome = found.get("fault") or found.get("left_out") or "done"
        tell(f"{part.title}: {name}: {outcome} ({time.perf_counter() - started_s:.1f} s)")
        yield name, found
