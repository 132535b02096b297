"""Two traces -> one line per value that differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

SHOWN = 60  # characters of a value in a line


def find_differences(before: Any, after: Any, path: str = "") -> list[str]:
    """One line per difference between two nested values of JSON: where it is, and both values.

    Numbers are equal if their shortest decimal text is, so that NaN equals NaN, 0.0 does not equal -0.0, and 1 does not
    equal 1.0. A section that only one side has is one line, however much it holds.

    Args:
        before: dictionaries, lists, text, numbers, true, false or null.
        after: what to compare it with.
        path: names of the sections around both values, with dots between them.

    Returns:
        Lines `path: value before -> value after`, in the order of `before`, with what only `after` has at the end of
        its section.
    """
    return list(_differences(before, after, path))


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, list) and isinstance(after, list) and len(before) != len(after):
        yield f"{path}: {len(before)} entries -> {len(after)} entries"
    elif isinstance(before, dict | list) and type(before) is type(after):
        mine, other = _named(before), _named(after)
        for name in dict.fromkeys([*mine, *other]):
            inner = f"{path}.{name}" if path else name
            if name not in other:
                yield f"{inner}: {_shorten(mine[name])} -> missing"
            elif name not in mine:
                yield f"{inner}: missing -> {_shorten(other[name])}"
            else:
                yield from _differences(mine[name], other[name], inner)
    elif json.dumps(before) != json.dumps(after):
        yield f"{path}: {_shorten(before)} -> {_shorten(after)}"


def _named(value: dict[str, Any] | list[Any]) -> dict[str, Any]:
    return value if isinstance(value, dict) else {str(number): item for number, item in enumerate(value)}


def _shorten(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
