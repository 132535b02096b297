"""YAML files and command-line overrides -> Config, with the origin of every value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pcdet_poly.config.error_text import COMMAND_LINE, describe_errors
from pcdet_poly.config.find import find_base, find_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.yaml_nodes import compose_yaml, construct_value, read_yaml_file
from pcdet_poly.errors import UserError

Key = tuple[str, ...]  # ("train", "batch_size")


@dataclass(frozen=True)
class Settings:
    """Values as written, nested as in YAML, and where each one was written."""

    values: dict[str, Any]
    origins: dict[Key, str]  # "configs/base.yaml:12" or "command line"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read the config of a YAML file, its chain of `base:` files and `section.key=value` overrides.

    A later value wins: base, then file, then overrides from left to right; lists are replaced whole. A
    section whose `kind` or `preset` changes starts afresh.

    Raises:
        UserError: with file, line, key, value and, for an unknown key, the nearest valid one.
    """
    return build_config(read_settings(path, overrides))


def read_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Read what the files and overrides say, merged but not yet validated. `path` may be the name of one of ours."""
    settings = _read_chain(find_config(path), ())
    for override in overrides:
        settings = _merge(settings, _parse_override(override))
    return settings


def build_config(settings: Settings) -> Config:
    """Validate `settings`. Raises UserError that names the first problem and counts the others."""
    try:
        return Config.model_validate(settings.values)
    except ValidationError as error:
        raise UserError(describe_errors(error, settings.origins)) from None


def dump_config(config: Config) -> str:
    """Write all values, defaults included, as YAML that `load_config` reads back to an equal Config."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    return text


def build_json_schema() -> str:
    """Build the JSON schema of config files, with which editors complete and check the YAML."""
    schema = Config.model_json_schema()
    schema["properties"] |= {
        "base": {
            "type": "string",
            "description": "File to start from, relative to this one, or the name of one of ours.",
        }
    }
    return json.dumps(schema, indent=2) + "\n"


def _read_chain(path: Path, included_by: tuple[Path, ...]) -> Settings:
    path = Path(path)
    if path.resolve() in included_by:
        raise UserError(f"{included_by[-1]}: `base: {path}` leads back to itself; remove one link of the chain")
    own = _read_file(path)
    base = own.values.pop("base", None)
    own.origins.pop(("base",), None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise UserError(f"{path}: base: {base!r} is not a path; write one file name, relative to this file")
    return _merge(_read_chain(find_base(base, path.parent), (*included_by, path.resolve())), own)


def _read_file(path: Path) -> Settings:
    node = read_yaml_file(path)
    if node is None:
        return Settings({}, {})
    if not isinstance(node, yaml.MappingNode):
        raise UserError(
            f"{path}: a config is a mapping of sections (`train:`, `data:`, ...), not a list or a single value"
        )
    return _collect_settings(node, str(path))


def _collect_settings(node: yaml.MappingNode, file: str, prefix: Key = ()) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[Key, str] = {}
    for key_node, value_node in node.value:
        position = f"{file}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{position}: a list or a mapping cannot be the name of a setting; write a word")
        name = str(key_node.value)
        if name in values:
            raise UserError(f"{position}: {'.'.join((*prefix, name))}: written twice in this file; keep one")
        if isinstance(value_node, yaml.MappingNode):
            inner = _collect_settings(value_node, file, (*prefix, name))
            values[name] = inner.values
            origins |= inner.origins
        else:
            values[name] = construct_value(value_node, file)
        origins[(*prefix, name)] = position
    return Settings(values, origins)


def _parse_override(text: str) -> Settings:
    name, equals, written = text.partition("=")
    key = tuple(name.strip().split("."))
    if not equals or not all(key):
        raise UserError(f"{text!r}: an override is written section.key=value, for example train.batch_size=2")
    try:
        node = compose_yaml(written, "")
        value: Any = None if node is None else construct_value(node, "")
    except UserError as error:
        advice = str(error).partition("unknown escape character")[2].partition("; ")[2]
        advice = advice or "quote it, for example data.train='[a, b]'"
        raise UserError(f"{text!r}: the value is not YAML; {advice}") from None
    origins = {key: COMMAND_LINE}
    for name in reversed(key):
        value = {name: value}
    return Settings(value, origins)


def _merge(lower: Settings, upper: Settings) -> Settings:
    origins = dict(lower.origins)
    values = _merge_values(lower.values, upper.values, (), origins)
    return Settings(values, origins | upper.origins)


def _merge_values(
    lower: Mapping[str, Any], upper: Mapping[str, Any], prefix: Key, origins: dict[Key, str]
) -> dict[str, Any]:
    if _starts_afresh(lower, upper):
        for key in [key for key in origins if key[: len(prefix)] == prefix and key != prefix]:
            del origins[key]
        return dict(upper)
    merged = dict(lower)
    for name, value in upper.items():
        if isinstance(value, Mapping) and isinstance(lower.get(name), Mapping):
            merged[name] = _merge_values(lower[name], value, (*prefix, name), origins)
        else:
            merged[name] = value
    return merged


def _starts_afresh(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> bool:
    """Whether a section's kind or preset changes; one without a preset takes the first that is named."""
    if "preset" in upper and upper["preset"] != lower.get("preset"):
        return True
    return "kind" in upper and bool(upper["kind"] != lower.get("kind", upper["kind"]))
