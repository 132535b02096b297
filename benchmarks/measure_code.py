"""How easy the code is to find one's way in, as numbers: `python -m benchmarks.measure_code [FOLDER ...]`.

Prints one Markdown table: files per folder, function names that start with a verb, documented
parameters, string subscripts, import circles, and for the whole package the frames that epsilon passes
from YAML to the loss. `--project DIR` measures another checkout, without these frames. `--list` adds every
function whose name starts with no verb and every public function whose docstring leaves a parameter out;
`--json` prints numbers. `__init__.py` and `__main__.py`, which hold no code of their own, are not counted as files.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pcdet_poly"

VERB_LIST = """
accumulate adapt add adjust adopt advance align allow annotate append apply apportion approximate ask assemble
assert assign attach augment average await become begin belong bind bootstrap bring broadcast build cache calibrate
call cancel cast catch change check choose claim clamp classify clean clear clip clone close cluster coarsen collate
collect color colour combine come compare compile complete compress compute concatenate configure connect contain
convert copy count cover create crop cross cut decode decompress decorate define deflate delete derive describe
destroy detach detect determine differentiate discard display divide download drain draw drive drop dump edit emit
empty enable encode end enforce enlarge enter enumerate erase estimate evaluate examine exclude execute exit expand
expect explain export extend extract fail fetch fill filter find finish fit fix flatten flip flush fold follow
forget format forward free freeze furnish fuse gather generate get give go greet group grow guard guess halve hand
handle has hash hide hold identify ignore import include index infer inflate initialise initialize insert inspect
install interpolate intersect invert is iterate join judge jump keep kill label launch lay lead learn leave let lift
limit link list listen load locate lock log look loosen lose make map mark mask match may measure meet merge migrate
mirror mix modify monitor move multiply must name narrow normalize note notify number observe offer offset open
order own pack pad paint park parse partition pass paste pause permute pick pin place plan plant plot point pool
populate post predict prepare preprocess present print process produce profile project propagate prove provide prune
publish pull push put quantize quote raise ramp rank read rebuild receive recolour record recover reduce refer
refuse register reject relabel release reload remember remove rename render reorder repair repeat replace report
represent require rerun resample rescore reserve reset reshape resize resolve respond restart restore restrict
resume retry return reuse reverse review rewind rewrite roll rotate round run sample save scale scan scatter
schedule score search seed seek select send separate serialize serve set setup share shift should show shrink
shuffle shut sign simulate skip slice smooth solve sort spawn split spread stack stamp stand start state step stop
store stream stretch strip study style subtract suggest sum summarize supply suppress swap switch synchronize
tabulate tag take tell test thin throw tie tile time toggle touch trace track train transform translate transpose
traverse trigger trim try turn unbind undo uniform unlink unpack unravel unregister unwrap update upload use
validate vary verify view visit voxelize wait walk warm warn warp weigh widen wrap write yield zip
"""
VERBS = frozenset(VERB_LIST.split())
# Floor-1 and floor-2 files whose functions are losses: their names are the losses' own.
LOSSES = ("losses/",)


@dataclass
class Measures:
    """What was counted in a set of files."""

    functions: int = 0
    with_verb: int = 0
    without_verb: list[str] = field(default_factory=list)
    public: int = 0  # public functions with three or more parameters
    documented: int = 0
    undocumented: list[str] = field(default_factory=list)
    string_subscripts: int = 0
    lines: int = 0
    files: dict[str, int] = field(default_factory=dict)  # folder -> number of Python files
    circles: list[str] = field(default_factory=list)
    frames_to_loss: dict[str, int] = field(default_factory=dict)  # head -> see benchmarks/epsilon_path.py


def measure(folders: Sequence[Path], root: Path = ROOT) -> Measures:
    """Count over every Python file below `folders`, which lie in the project `root`."""
    found = Measures()
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        text = file.read_text()
        found.lines += text.count("\n")
        folder = str(file.parent.relative_to(root))
        if file.name not in ("__init__.py", "__main__.py"):
            found.files[folder] = found.files.get(folder, 0) + 1
        tree = ast.parse(text)
        found.string_subscripts += sum(map(_is_string_subscript, ast.walk(tree)))
        for function, owners in _functions(tree, ()):
            _measure_function(found, function, owners, str(file.relative_to(root)))
    found.circles = [" -> ".join(circle) for circle in find_circles(read_imports(root / PACKAGE.name))]
    return found


def read_imports(package: Path) -> dict[str, set[str]]:
    """Every module of `package` and the modules of it that it imports, at any depth."""
    modules = {_module_name(file, package): file for file in package.rglob("*.py")}
    imports: dict[str, set[str]] = {}
    for module, file in modules.items():
        targets: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                targets |= {name if name in modules else node.module for name in names}
        imports[module] = {target for target in targets if target in modules and target != module}
    return imports


def find_circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(imports[module]):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            position = stack.index(module)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                circles.append(sorted(group))

    for module in sorted(imports):
        if module not in index:
            visit(module)
    return circles


def count_frames_to_loss() -> dict[str, int]:
    """The number of frames between a config file's epsilon and the formula, by head."""
    from benchmarks.epsilon_path import HEADS, trace_epsilon  # imports torch

    return {head: len(trace_epsilon(head)) for head in HEADS}


def _module_name(file: Path, package: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(
    node: ast.AST, owners: tuple[ast.AST, ...]
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, tuple[ast.AST, ...]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child, owners
            yield from _functions(child, (*owners, child))
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*owners, child))
        else:
            yield from _functions(child, owners)


def _measure_function(
    found: Measures, function: ast.FunctionDef | ast.AsyncFunctionDef, owners: tuple[ast.AST, ...], file: str
) -> None:
    name, place = function.name, f"{file}:{function.lineno} {function.name}"
    decorators = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in function.decorator_list}
    is_property = bool(decorators & {"property", "cached_property", "setter"})
    # torch gives these their names.
    is_given = name.startswith("__") or (name in ("forward", "backward") and bool(owners))
    is_loss = any(part in file for part in LOSSES) and not name.startswith("_") and not owners
    if not (is_property or is_given or is_loss):
        found.functions += 1
        if name.strip("_").split("_")[0] in VERBS:
            found.with_verb += 1
        else:
            found.without_verb.append(place)
    is_public = not name.startswith("_") and not any(
        isinstance(owner, ast.FunctionDef) or getattr(owner, "name", "").startswith("_") for owner in owners
    )
    parameters = _parameters(function)
    if is_public and not is_property and "overload" not in decorators and len(parameters) >= 3:
        found.public += 1
        missing = _undescribed(ast.get_docstring(function) or "", parameters)
        if missing:
            found.undocumented.append(f"{place}: {', '.join(missing)}")
        else:
            found.documented += 1


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [a.arg for a in (given.vararg, given.kwarg) if a is not None]
    return [name for name in names if name not in ("self", "cls", "ctx")]


def _undescribed(docstring: str, parameters: Sequence[str]) -> list[str]:
    """Parameters without a line of their own in the section `Args:` of a docstring."""
    _, _, section = docstring.partition("Args:\n")
    section = re.split(r"\n(?:Returns|Yields|Raises|Note|Example)s?:\n", section)[0]
    described = set(
        re.findall(r"^\s+\*{0,2}([a-zA-Z_0-9]+(?:, [a-zA-Z_0-9]+)*)(?: \([^)]*\))?:", section, re.MULTILINE)
    )
    names = {name for group in described for name in group.split(", ")}
    return [name for name in parameters if name not in names]


def _is_string_subscript(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
    )


def format_table(found: Measures) -> str:
    """The measures as a Markdown table."""
    largest = max(found.files, key=lambda folder: found.files[folder])
    rows = [
        ("files in the largest folder", f"{found.files[largest]} ({largest})"),
        ("folders of more than 15 files", str(sum(count > 15 for count in found.files.values()))),
        ("functions whose name starts with a verb", f"{found.with_verb / max(found.functions, 1):.0%}"),
        ("public functions that describe every parameter", f"{found.documented / max(found.public, 1):.0%}"),
        ("string subscripts per 1,000 lines", f"{1000 * found.string_subscripts / max(found.lines, 1):.1f}"),
        ("import circles", str(len(found.circles))),
    ]
    if found.frames_to_loss:
        counts = ", ".join(f"{count} ({head})" for head, count in found.frames_to_loss.items())
        rows.append(("frames from YAML to loss", counts))
    return "\n".join(["| measure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> int:
    """Measure the folders named on the command line, or the whole package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="default: pcdet_poly")
    parser.add_argument("--project", type=Path, default=ROOT, help="checkout to measure (default: this one)")
    parser.add_argument("--list", action="store_true", help="name what falls short")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    root = options.project.resolve()
    found = measure([folder.resolve() for folder in options.folders] or [root / PACKAGE.name], root)
    if not options.folders and root == ROOT:
        found.frames_to_loss = count_frames_to_loss()
    if options.json:
        print(json.dumps(vars(found), indent=2))
        return 0
    print(format_table(found))
    if options.list:
        print("\nno verb:", *found.without_verb, "\nparameters not described:", *found.undocumented, sep="\n  ")
        print("\ncircles:", *found.circles, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
