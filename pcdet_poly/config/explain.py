"""Every value of a config and where it came from, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from pcdet_poly.config.load import Settings
from pcdet_poly.config.schema import Config
from pcdet_poly.names.shown_names import escape_for_terminal


def explain(config: Config, settings: Settings) -> str:
    """Write one line per setting of `config`: key = value, then its origin and its meaning, in columns."""
    rows = [
        (*map(escape_for_terminal, (f"{'.'.join(key)} = {value}", settings.origins.get(key, "default"))), meaning)
        for key, value, meaning in _walk_settings(config, ())
    ]
    width = min(56, max(len(row[0]) for row in rows))
    origin_width = max(len(row[1]) for row in rows)
    return "\n".join(f"{text:<{width}}  {origin:<{origin_width}}  {meaning}" for text, origin, meaning in rows)


def _walk_settings(section: BaseModel, prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _walk_settings(value, (*prefix, name))
        else:
            shown = list(value) if isinstance(value, tuple) else value
            yield (*prefix, name), shown, " ".join((field.description or "").split())
