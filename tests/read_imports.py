"""Source texts -> their imports, wherever these stand and however they are written; and circles of imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

PACKAGE = "pcdet_poly"
# Functions that import what their first argument names: these two, whatever module they are taken from, and more.
IMPORT_FUNCTIONS = frozenset({"import_module", "__import__"})
MORE_IMPORT_FUNCTIONS = frozenset(
    {
        *("importlib.util.find_spec", "importlib.util.spec_from_file_location", "pkgutil.resolve_name"),
        *("runpy.run_module", "runpy.run_path"),
    }
)
RUN_ANY_TEXT = frozenset({"exec", "eval", "builtins.exec", "builtins.eval"})


@dataclass(frozen=True)
class Import:
    """One import in a source file."""

    module: str  # the full name; "" where only running the code tells
    line: int
    on_load: bool  # runs when the file is imported, type checkers' imports left out


def read_imports(source: str, modules: Mapping[str, str]) -> Iterator[Import]:
    """Every import of a source text, at any depth, `importlib` included.

    Args:
        source: Python source text.
        modules: The package's modules by full name, which decides whether `from a import b` means module a.b.

    Yields:
        Imports with full names.
    """
    for base, name, line, on_load in _read_statements(source):
        full = f"{base}.{name}"
        is_private_value = base == PACKAGE and name.startswith("__")
        yield Import(full if name and (full in modules or is_private_value) else base, line, on_load)


@cache
def _read_statements(source: str) -> tuple[tuple[str, str, int, bool], ...]:
    """For each import its module, the name that is taken from it or "", the line, and whether it runs on loading."""
    tree = ast.parse(source)
    loaded = {id(node) for node in _walk_on_load(tree)}
    meanings = _read_meanings(tree)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", node.lineno, id(node) in loaded) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(base, alias.name, node.lineno, id(node) in loaded) for alias in node.names]
        elif isinstance(node, ast.Name | ast.Attribute):
            meaning = _tell_meaning(node, meanings)
            if meaning.split(".")[-1] in IMPORT_FUNCTIONS or meaning in MORE_IMPORT_FUNCTIONS:
                found.append((_read_first_text(called.get(id(node))), "", node.lineno, id(node) in loaded))
            elif meaning in RUN_ANY_TEXT:
                found.append(("", "", node.lineno, id(node) in loaded))
    return tuple(found)


def find_circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes from each of which all others of the group can be reached (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in index:
                visit(target)
            if target in stack:
                low[node] = min(low[node], low[target])
        if low[node] == index[node]:
            position = stack.index(node)
            group = stack[position:]
            del stack[position:]
            if len(group) > 1:
                circles.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return circles


def _walk_on_load(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a file is imported: no bodies of functions, nothing for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            # Decorators and the values of parameters are computed at once.
            parts = [*getattr(child, "decorator_list", []), *child.args.defaults, *filter(None, child.args.kw_defaults)]
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            parts = child.orelse
        else:
            parts = [child]
        for part in parts:
            if part is not child:
                yield part
            yield from _walk_on_load(part)


def _read_meanings(tree: ast.AST) -> dict[str, str]:
    """What imported names of a file stand for: `from importlib import import_module as load` -> load."""
    meanings = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meanings |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            meanings |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return meanings


def _tell_meaning(node: ast.expr, meanings: Mapping[str, str]) -> str:
    """The full name of what an expression such as `il.import_module` stands for; of others, what follows a dot."""
    if isinstance(node, ast.Name):
        return meanings.get(node.id, node.id)
    return f"{_tell_meaning(node.value, meanings)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _read_first_text(call: ast.Call | None) -> str:
    first = call.args[0] if call is not None and call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
