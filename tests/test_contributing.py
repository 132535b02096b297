"""CONTRIBUTING.md is true: rows of "where to change what" are followed in a copy, and other sentences are checked."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contributing import around, losses, networks
from tests.contributing.page import PAGE, ROOT, list_paths, locate, read_rows, read_table
from tests.contributing.project_copy import ProjectCopy
from tests.floors import DYNAMIC, FLOORS, HOMES, find_violations
from tests.warm_python import WarmPython

PACKAGE = ROOT / "pcdet_poly"
ROWS = read_rows()
# What can be added -> an example of it, and the program that proves that it works.
CHANGES: dict[str, tuple[Callable[[ProjectCopy], None], str]] = {
    "a setting, here of the augmentation": (losses.add_augmentation, losses.PROVE_AUGMENTATION),
    "a setting of PolyLoss": (losses.add_poly_setting, losses.PROVE_POLY_SETTING),
    "a classification loss": (losses.add_loss, losses.PROVE_LOSS),
    "a box loss of the centre head": (losses.add_box_loss, losses.PROVE_BOX_LOSS),
    "an op": (networks.add_op, networks.PROVE_OP),
    "a detector": (networks.add_detector, networks.PROVE_DETECTOR),
    "an output of the centre head": (networks.add_head_output, networks.PROVE_HEAD_OUTPUT),
    "a dataset": (around.add_dataset, around.PROVE_DATASET),
    "a metric": (around.add_metric, around.PROVE_METRIC),
    "a breakdown of the metrics": (around.add_breakdown, around.PROVE_BREAKDOWN),
    "a command": (around.add_command, around.PROVE_COMMAND),
    "a sweep": (around.add_sweep, around.PROVE_SWEEP),
    "an object of the simulator": (around.add_simulated_object, around.PROVE_SIMULATED_OBJECT),
    "a material of the simulator": (around.add_material, around.PROVE_MATERIAL),
}


def read_violations(package: Path) -> set[str]:
    """What is wrong with a package's imports, without line numbers, which a change moves."""
    sources = {str(file.relative_to(package)): file.read_text() for file in package.rglob("*.py")}
    return {re.sub(r":\d+ ", " ", line) for line in find_violations(sources)}


@pytest.fixture(scope="module")
def violations() -> set[str]:
    """Those of the package as it is: none, as tests/test_floors.py holds."""
    return read_violations(PACKAGE)


@pytest.fixture(scope="module")
def python() -> Iterator[WarmPython]:
    """Python with the libraries that proofs load, but with nothing of ours, which proofs find in their copies."""
    warm = WarmPython("import numba, numpy, pyarrow, pydantic, scipy.stats, torch._dynamo, yaml\n")
    yield warm
    warm.close()


def test_every_row_has_an_example() -> None:
    assert list(CHANGES) == list(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGES)
def test_a_row_is_followed_in_a_copy(what: str, tmp_path: Path, violations: set[str], python: WarmPython) -> None:
    make_change, proof = CHANGES[what]
    copy = ProjectCopy.make(tmp_path, ROWS[what])
    make_change(copy)
    assert copy.touched == set(ROWS[what]), "the row names files that need no change"
    result = copy.run(proof, python)
    assert result.returncode == 0, result.stderr
    assert read_violations(tmp_path / "pcdet_poly") - violations == set()


def test_a_row_that_names_too_little_fails(tmp_path: Path) -> None:
    rows = [path for path in ROWS["a classification loss"] if "kind_tables" not in path]
    copy = ProjectCopy(tmp_path, rows)
    with pytest.raises(AssertionError, match="kind_tables"):
        copy.replace("pcdet_poly/config/kind_tables.py", "a", "b")


def test_a_proof_fails_without_its_change(tmp_path: Path, python: WarmPython) -> None:
    assert "squared" in ProjectCopy.make(tmp_path, ()).run(losses.PROVE_LOSS, python).stderr


def test_every_path_exists() -> None:
    named = [path for path in list_paths(PAGE) if "<" not in path]
    assert len(named) > 70
    assert [path for path in named if not (ROOT / path).exists()] == []
    plain = re.findall(r"\b(?:docs|configs|tests)/[\w/]+\.\w+", PAGE)
    assert [path for path in plain if not (ROOT / path).exists()] == []


def test_the_house_has_every_package_and_room_on_its_floor() -> None:
    told = {locate(path): int(floor) for floor, cell, _ in read_table("floor") for path in re.findall(r"`(.*?)`", cell)}
    packages = {f"pcdet_poly/{name}/": floor for name, floor in FLOORS.items() if (PACKAGE / name).is_dir()}
    del packages["pcdet_poly/detect/"]  # a door, told among the rooms
    assert packages.items() <= told.items()
    assert all(FLOORS[Path(path).stem] == floor for path, floor in told.items())
    rooms = {locate(path) for cell, _ in read_table("room") for path in re.findall(r"`(.*?)`", cell)}
    there = {f"pcdet_poly/{file.parent.relative_to(PACKAGE)}/" for file in PACKAGE.glob("*/*/**/__init__.py")}
    assert rooms == there | {"pcdet_poly/detect/"}


def read_steps() -> list[tuple[str, list[str], str]]:
    """Function, parameters and file of each step of the straight line."""
    steps = []
    for _, cell, file in read_table("step"):
        for name, parameters in re.findall(r"`([\w.]+)\((.*?)\)", cell):
            steps.append((name, parameters.split(", "), list_paths(file)[0]))
    return steps


@pytest.mark.parametrize(("name", "parameters", "file"), read_steps())
def test_the_straight_line_has_this_step(name: str, parameters: list[str], file: str) -> None:
    if name.startswith("recipe."):
        from pcdet_poly.models.recipe import Recipe

        assert name.removeprefix("recipe.") in Recipe.__dataclass_fields__
        return
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    signature = inspect.signature(getattr(module, name))
    assert [p.name for p in signature.parameters.values() if p.default is p.empty] == parameters
    (told,) = re.findall(rf"`{name}\(.*?\) -> (.*?)`", PAGE)
    assert str(signature.return_annotation).split("[")[0] == told.split("[")[0]


def test_every_kernel_is_declared_with_the_decorator() -> None:
    ways = r"\b(numba|nb)\.(n?jit|g?u?vectorize|cfunc|stencil)\b|from numba.* import .*jit|import numba as"
    declaring = {file for file in PACKAGE.rglob("*.py") if re.search(ways, file.read_text())}
    assert declaring == {PACKAGE / "ops/compiler/kernel.py"}


def test_warm_up_calls_every_kernel_of_ops(python: WarmPython) -> None:
    program = (
        "from pcdet_poly.ops.compiler.registry import select_kernels; from pcdet_poly.ops.warm_up import warm_up; "
        "from tests.contributing.proof_tools import list_kernels_not_called; warm_up(); "
        "print(len(select_kernels('pcdet_poly.ops')), list_kernels_not_called('pcdet_poly.ops'))"
    )
    run = python.run(program, folder=ROOT, path=[ROOT])
    assert run.returncode == 0, run.stderr
    count, missing = run.stdout.split(maxsplit=1)
    assert int(count) >= 60
    assert missing == "[]\n"


def test_files_that_the_floor_test_lets_do_more_exist() -> None:
    homes = {home for places in HOMES.values() for home in places} | set(DYNAMIC)
    assert [home for home in homes if not (PACKAGE / home).exists()] == []


def test_operations_of_several_steps_are_those_that_the_page_names() -> None:
    (sentence,) = re.findall(r"made of several steps.*?\((.*?)\)", PAGE, flags=re.DOTALL)
    searching = {file for file in (PACKAGE / "ops").glob("*.py") if "find_back_end(" in file.read_text()}
    assert {ROOT / path for path in list_paths(sentence)} == searching - {PACKAGE / "ops/dispatch.py"}


def read_named_things() -> list[tuple[str, str]]:
    """Names that the page says are in a file, with that file."""
    clauses = [clause for _, touch, _ in read_table("to add") for clause in touch.split(";")]
    clauses += re.findall(r"`\w+`[^`.|]* in\s+`[\w/]+\.py`", PAGE)
    found = []
    for clause in clauses:
        files = [path for path in list_paths(clause) if "<" not in path and path.endswith(".py")]
        found += [(name, files[0]) for name in re.findall(r"`([A-Za-z_]\w*)`", clause) if len(files) == 1]
    return found


def test_names_are_in_the_files_that_the_page_says() -> None:
    named = read_named_things()
    assert {"LOSSES", "PolyConfig", "VERSION", "focal_polynomial", "warm_up"} <= {name for name, _ in named}
    assert [pair for pair in named if not re.search(rf"\b{pair[0]}\b", (ROOT / pair[1]).read_text())] == []
