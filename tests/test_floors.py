"""The import rule: a package imports only from lower floors, and heavy libraries have one home each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pcdet_poly"

FLOORS: dict[str, int] = {
    **dict.fromkeys(
        (
            "malloc",
            "distributed",
            "errors",
            "files",
            "signals",
            "optional_libraries",
            "workers",
            "paths",
            "stage_timer",
            "structures",
            "config",
            "protos",
        ),
        0,
    ),
    "ops": 1,
    **dict.fromkeys(("waymo", "losses", "targets", "evaluation", "visualization"), 2),
    **dict.fromkeys(("data", "simulation", "models"), 3),
    "engine": 4,
    "experiments": 5,
    "detect": 99,  # a command
}
# The modules of floor 0 that every room may use, the others of that floor included.
TOOLS = {"malloc", "errors", "files", "signals", "optional_libraries", "workers", "paths", "stage_timer"}
HOMES = {
    "tensorflow": ("evaluation/waymo_op.py",),
    "waymo_open_dataset": ("evaluation/waymo_op.py",),
    "open3d": ("optional_libraries.py",),
    "spconv": ("ops/gpu/",),
    "triton": ("ops/gpu/",),
}


def imports_of(source: str) -> Iterator[str]:
    """Every module a source text imports, at any depth, by its full name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level
            elif node.module == "pcdet_poly":
                yield from (f"pcdet_poly.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def violations(file: Path, source: str) -> list[str]:
    """What the rule has against `file` (relative to the package), one line each."""
    found = []
    room = file.parts[0].removesuffix(".py")
    # A command, like train.py, stands above all floors.
    floor = 99 if file.name == "__main__.py" else FLOORS.get(room, 99)
    for module in imports_of(source):
        top, *rest = module.split(".")
        if top in HOMES and not str(file).startswith(HOMES[top]):
            found.append(f"{file} imports {top}, whose home is {' or '.join(HOMES[top])}")
        if module.startswith("."):
            found.append(f"{file} has a relative import; write the full name")
        if top != "pcdet_poly" or not rest or rest[0] == room or rest[0].startswith("_"):
            continue
        if rest[0] not in FLOORS:
            found.append(f"{file} imports {module}, which stands on no floor")
        elif FLOORS[rest[0]] >= floor and rest[0] not in TOOLS:
            found.append(f"{file} (floor {floor}) imports {module} (floor {FLOORS[rest[0]]})")
    return found


def files() -> list[Path]:
    return sorted(
        file.relative_to(PACKAGE)
        for file in PACKAGE.rglob("*.py")
        if file.name != "__init__.py" or len(file.relative_to(PACKAGE).parts) > 1
    )


def test_every_room_stands_on_a_floor() -> None:
    rooms = {file.parts[0].removesuffix(".py") for file in files()}
    assert rooms <= set(FLOORS), f"give these a floor: {rooms - set(FLOORS)}"


@pytest.mark.parametrize("file", files(), ids=str)
def test_imports_go_down_only(file: Path) -> None:
    assert violations(file, (PACKAGE / file).read_text()) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("ops/iou.py", "from pcdet_poly.waymo import tfrecord"),
        ("losses/poly.py", "def f():\n    import pcdet_poly.targets.center"),
        ("models/recipe.py", "from pcdet_poly.data.store.frame_store import Store"),
        ("config/load.py", "from pcdet_poly import structures"),
        ("waymo/decode.py", "import tensorflow as tf"),
        ("models/head.py", "import spconv.pytorch"),
        ("data/store/frame_store.py", "from . import collate"),
    ],
)
def test_the_rule_rejects_upward_sideways_and_homeless_imports(file: str, source: str) -> None:
    assert violations(Path(file), source)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.process_time(); import pcdet_poly, pcdet_poly.structures; "
        "seconds = time.process_time() - start; "
        "heavy = {'torch', 'numba', 'open3d', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; print(seconds)"
    )
    # The fastest of three: a busy machine delays a start, a heavy import delays every start.
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.5
