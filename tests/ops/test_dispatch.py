"""One place chooses between back ends, and both have what it looks for."""

from __future__ import annotations

import ast
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import torch

from pcdet_poly.ops.dispatch import find_back_end

OPS = Path(__file__).resolve().parents[2] / "pcdet_poly" / "ops"
BOTH = sorted(
    {file.stem for file in (OPS / "cpu").glob("[!_]*.py")} & {file.stem for file in (OPS / "gpu").glob("*.py")}
)


def public_functions(room: str, file: str) -> set[str]:
    tree = ast.parse((OPS / room / f"{file}.py").read_text())
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return {name for name in defined | imported if name and not name.startswith("_")}


@pytest.mark.parametrize("file", [file for file in BOTH if file != "bitmap"])  # bitmap is a part of voxelize
def test_back_ends_have_the_same_functions_with_the_same_arguments(file: str) -> None:
    pytest.importorskip("triton")
    cpu, gpu = (import_module(f"pcdet_poly.ops.{room}.{file}") for room in ("cpu", "gpu"))
    common = public_functions("cpu", file) & public_functions("gpu", file)
    asked_for = public_functions("gpu", file) if file != "voxelize" else {"voxelize"}
    assert common == asked_for
    for name in common:
        ours = getattr(cpu, name)
        ours = getattr(ours, "py_func", ours)  # of a kernel
        assert list(signature(ours).parameters) == list(signature(getattr(gpu, name)).parameters), name


def test_no_other_file_of_ops_asks_for_a_device() -> None:
    asking = {
        str(file.relative_to(OPS))
        for file in OPS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and (node.attr == "is_cuda" or ast.unparse(node).endswith("device.type"))
    }
    assert asking == {"dispatch.py"}


def test_a_back_end_is_found_by_the_device_of_a_tensor() -> None:
    assert find_back_end("rulebook", torch.zeros(1)).__name__ == "pcdet_poly.ops.cpu.rulebook"
    assert find_back_end("rulebook", torch.zeros(1, device="meta")).__name__ == "pcdet_poly.ops.gpu.rulebook"
