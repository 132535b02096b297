"""A validation error -> one line that teaches."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pcdet_poly.config.kind_field import KindField
from pcdet_poly.config.schema import Config


def describe(error: ValidationError, origins: Mapping[tuple[str, ...], str]) -> str:
    """The first problem: file and line, key, value, what to do; then how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key = _key_of(first["loc"])
    text = _problem(key, first)
    if origin := _origin_of(key, origins):
        text = f"{origin}: {text}"
    return f"{text} (and {len(problems) - 1} more)" if len(problems) > 1 else text


def _problem(key: tuple[str, ...], problem: Any) -> str:
    name = ".".join(key)
    match problem["type"]:
        case "extra_forbidden":
            return f"{name}: no such setting{_suggestion(key)}"
        case "unknown_kind":
            return f"{name} = {problem['input']!r}: {problem['ctx']['reason']}"
        case "missing":
            return f"{name}: needed, and not given"
        case "value_error":
            reason = str(problem["ctx"]["error"])
            return f"{name}: {reason}" if name else reason
        case "tuple_type":
            return f"{name} = {problem['input']!r}: a list is needed, such as [{problem['input']}]"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{name} = {problem['input']!r}: {message}"


def _suggestion(key: tuple[str, ...]) -> str:
    sections = _sections_at(key[:-1])
    if not sections:
        return ""
    owners = [section for section in sections if key[-1] in section.model_fields]
    if owners:
        kinds = ", ".join(map(repr, _kinds(owners)))
        return f" here; it belongs to {'.'.join((*key[:-1], 'kind'))} {kinds}"
    names = list(dict.fromkeys(name for section in sections for name in section.model_fields))
    if close := difflib.get_close_matches(key[-1], names, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    elsewhere = [f"{'.'.join(path)}" for path in all_keys() if path[-1] == key[-1]]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    return f"; there are {', '.join(names)}"


def all_keys(section: type[BaseModel] = Config, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every setting's key, sections before their settings."""
    keys: list[tuple[str, ...]] = []
    for name, field in section.model_fields.items():
        keys.append((*prefix, name))
        for model in _list_sections(field):
            keys += [key for key in all_keys(model, (*prefix, name)) if key not in keys]
    return keys


def _sections_at(key: tuple[str, ...]) -> list[type[BaseModel]]:
    """What may stand at `key`: several where a section comes in kinds."""
    sections: list[type[BaseModel]] = [Config]
    for name in key:
        sections = [
            model
            for section in sections
            if name in section.model_fields
            for model in _list_sections(section.model_fields[name])
        ]
    return sections


def _kinds(sections: list[type[BaseModel]]) -> list[str]:
    return [section.model_fields["kind"].default for section in sections if "kind" in section.model_fields]


def _list_sections(field: FieldInfo) -> Sequence[type[BaseModel]]:
    """Return the sections that may stand in a field; several where it comes in kinds."""
    for mark in field.metadata:
        if isinstance(mark, KindField):
            return mark.list_settings()
    return _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _key_of(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The key as the user wrote it: pydantic also puts union tags and list positions into a location."""
    key: tuple[str, ...] = ()
    known = set(all_keys())
    for position, part in enumerate(location):
        if not isinstance(part, str):
            continue
        last = position == len(location) - 1 and part not in _kinds(_sections_at(key))
        if (*key, part) in known or (last and _sections_at(key)):
            key = (*key, part)
    return key


def _origin_of(key: tuple[str, ...], origins: Mapping[tuple[str, ...], str]) -> str | None:
    for length in range(len(key), 0, -1):
        if key[:length] in origins:
            return origins[key[:length]]
    return None
