"""Text -> YAML nodes and plain values, within limits: no file of a few bytes may take all memory or all time."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import yaml

from pcdet_poly.errors import UserError

MAX_BYTES = 1 << 20
MAX_NODES = 20_000  # aliases written out
MAX_DEPTH = 50


def read_yaml_file(path: Path) -> yaml.Node | None:
    """Read a YAML file of one document; None where it is empty.

    Raises:
        UserError: with file and line, where it is not YAML or beyond the limits of this module.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES >> 20} MB; a config is a text of a few pages")
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what `>` of Windows' PowerShell writes
    try:
        return compose_yaml(data.decode("utf-16" if is_utf_16 else "utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not YAML: {error}") from None


def compose_yaml(text: str, place: str) -> yaml.Node | None:
    """Read a YAML text of one document as nodes; None where it is empty.

    Args:
        text: the document.
        place: what errors begin with.

    Raises:
        UserError: with place and line, where it is not YAML or beyond the limits of this module.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise UserError(f"{place}: nested too deeply; a config has a few levels") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{_find_position(error, place)}: not YAML: {_describe(error)}") from None
    if node is not None:
        _count_nodes(node, place, (), {})
    return node


def construct_value(node: yaml.Node, place: str) -> Any:
    """Turn a node into plain values: mappings, lists, texts, numbers, dates.

    Args:
        node: what `compose_yaml` or `read_yaml_file` returned, or a part of it.
        place: what errors begin with.

    Raises:
        UserError: a value that its tag does not allow, or a key that cannot be one.
    """
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{_find_position(error, place)}: not a value of a config: {_describe(error)}") from None
    finally:
        loader.dispose()


def _count_nodes(node: yaml.Node, place: str, above: tuple[int, ...], counts: dict[int, int]) -> int:
    """Count the nodes below and at this one, each alias as what it stands for; raise UserError beyond the limits."""
    if id(node) in above or len(above) >= MAX_DEPTH:
        what = "an alias leads back to itself" if id(node) in above else "nested too deeply"
        raise UserError(f"{place}:{node.start_mark.line + 1}: {what}; a config has a few levels")
    if id(node) not in counts:
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [each for pair in node.value for each in pair]
        below = sum(_count_nodes(child, place, (*above, id(node)), counts) for child in children)
        counts[id(node)] = 1 + below
        if below >= MAX_NODES:
            raise UserError(
                f"{place}:{node.start_mark.line + 1}: aliases (*name) stand for more than {MAX_NODES} values; "
                "write what is meant"
            )
    return counts[id(node)]


def _find_position(error: Exception, place: str) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{place}:{mark.line + 1}" if mark else place


def _describe(error: Exception) -> str:
    problem = " ".join(str(getattr(error, "problem", None) or error).split())[:200]
    if "unknown escape character" in problem:  # a path of Windows
        problem += "; inside double quotes \\ begins an escape: write single quotes, or / for \\"
    return problem
