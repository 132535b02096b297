"""Mistakes in settings, as pydantic reports them -> one line that says where, what and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from pcdet_poly.config.kind_field import KindField
from pcdet_poly.config.kind_tables import DETECTORS
from pcdet_poly.config.schema import Config
from pcdet_poly.errors import suggest_word
from pcdet_poly.names.near_names import find_near_names

COMMAND_LINE = "command line"  # where an override was written


@dataclass(frozen=True)
class _Mistake:
    """One validation error of pydantic."""

    kind: str  # pydantic's name of it
    location: tuple[int | str, ...]
    value: Any
    message: str
    context: Mapping[str, Any]

    @classmethod
    def from_details(
        cls, type: str, loc: tuple[int | str, ...], msg: str, input: Any, ctx: Any = None, url: str = ""
    ) -> _Mistake:
        """Make one from the details that pydantic gives, under its names."""
        return cls(type, loc, input, msg, ctx or {})


def describe_errors(error: ValidationError, origins: Mapping[tuple[str, ...], str]) -> str:
    """Describe the first mistake in one line (file and line, key, value, what to do), and count the others.

    Args:
        error: what pydantic raised for the settings.
        origins: key of a setting -> where it was written.

    Returns:
        One line for the user.
    """
    mistakes = [_Mistake.from_details(**details) for details in error.errors(include_url=False)]
    key = _recover_key(mistakes[0].location)
    text = _describe_mistake(key, mistakes[0])
    places = [_find_origin(named, origins) for named in ([key] if key else _find_named_keys(text))]
    if origin := COMMAND_LINE if COMMAND_LINE in places else next(filter(None, places), None):
        text = f"{origin}: {text}"
    return f"{text} (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else text


def _find_named_keys(text: str) -> list[tuple[str, ...]]:
    """Return the settings and sections that a text about a whole config names, those that it begins with first.

    A text that names a detector is about `model.kind`, too.
    """
    known = set(list_keys())
    words = [tuple(word.rstrip(".").split(".")) for word in re.findall(r"[a-z_]+\.[a-z_.]+|^[a-z_]+(?=:)", text)]
    named = [word[:length] for word in words for length in (len(word), 1) if word[:length] in known][:8]
    is_of_detector = any(re.search(rf"\b{kind}\b", text) for kind in DETECTORS.ours)
    return [*dict.fromkeys(named), *([("model", "kind")] if is_of_detector else [])]


def _describe_mistake(key: tuple[str, ...], mistake: _Mistake) -> str:
    name = ".".join(key)
    match mistake.kind:
        case "extra_forbidden":
            return f"{name}: no such setting{_suggest_setting(key)}"
        case "unknown_kind":
            return f"{name} = {mistake.value!r}: {mistake.message}"
        case "missing":
            return f"{name}: needed, and not given"
        case "value_error":
            reason = str(mistake.context["error"])
            return f"{name}: {reason}" if name else reason
        case "tuple_type":
            example = f", such as [{mistake.value}]" if mistake.value is not None else "; nothing was given"
            return f"{name} = {mistake.value!r}: a list is needed{example}"
    message = mistake.message[0].lower() + mistake.message[1:]
    words = re.findall("'([^']*)'", str(mistake.context.get("expected", "")))
    return f"{name} = {mistake.value!r}: {message}{suggest_word(str(mistake.value), words)}"


def _suggest_setting(key: tuple[str, ...]) -> str:
    sections = _find_sections(key[:-1])
    if not sections:
        return ""
    owners = [section for section in sections if key[-1] in section.model_fields]
    if owners:
        kinds = ", ".join(map(repr, _list_kinds(owners)))
        return f" here; it belongs to {'.'.join((*key[:-1], 'kind'))} {kinds}"
    names = list(dict.fromkeys(name for section in sections for name in section.model_fields))
    if nearest := suggest_word(key[-1], names):
        return nearest
    elsewhere = _find_elsewhere(key[-1])
    return f"; did you mean {elsewhere!r}?" if elsewhere else f"; there are {', '.join(names)}"


def _find_elsewhere(name: str) -> str | None:
    """Find the setting of another section that is called `name`, or almost so; of several the shortest key."""
    keys = sorted(list_keys(), key=len)
    near = find_near_names(name, [key[-1] for key in keys], most=1)
    return next((".".join(key) for key in keys if key[-1] in near), None)


def list_keys(section: type[BaseModel] = Config, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List every setting's key below `section`, whose own key is `prefix`; sections come before their settings."""
    keys: list[tuple[str, ...]] = []
    for name, field in section.model_fields.items():
        keys.append((*prefix, name))
        for model in _list_sections(field):
            keys += [key for key in list_keys(model, (*prefix, name)) if key not in keys]
    return keys


def _find_sections(key: tuple[str, ...]) -> list[type[BaseModel]]:
    """Return the sections that may stand at `key`; several where a section comes in kinds."""
    sections: list[type[BaseModel]] = [Config]
    for name in key:
        sections = [
            model
            for section in sections
            if name in section.model_fields
            for model in _list_sections(section.model_fields[name])
        ]
    return sections


def _list_kinds(sections: list[type[BaseModel]]) -> list[str]:
    return [section.model_fields["kind"].default for section in sections if "kind" in section.model_fields]


def _list_sections(field: FieldInfo) -> Sequence[type[BaseModel]]:
    """Return the sections that may stand in a field; several where it comes in kinds."""
    for mark in field.metadata:
        if isinstance(mark, KindField):
            return mark.list_settings()
    return _find_models(field.annotation)


def _find_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _find_models(part)]


def _recover_key(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the key as the user wrote it: pydantic also puts union tags and list positions into a location."""
    key: tuple[str, ...] = ()
    known = set(list_keys())
    for position, part in enumerate(location):
        if not isinstance(part, str):
            continue
        last = position == len(location) - 1 and part not in _list_kinds(_find_sections(key))
        if (*key, part) in known or (last and _find_sections(key)):
            key = (*key, part)
    return key


def _find_origin(key: tuple[str, ...], origins: Mapping[tuple[str, ...], str]) -> str | None:
    """Return where `key` was written. A command line that wrote anything in a section is what made it wrong."""
    if key and any(written[: len(key)] == key and place == COMMAND_LINE for written, place in origins.items()):
        return COMMAND_LINE
    for length in range(len(key), 0, -1):
        if key[:length] in origins:
            return origins[key[:length]]
    return None
