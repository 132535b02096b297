"""Configs by path or by name: `configs/quick.yaml`, or `quick` for one that comes with the project."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pcdet_poly.commands.options import add_overrides, add_plugin, parse_path_or_url
from pcdet_poly.errors import UserError, suggest_path, suggest_word

if TYPE_CHECKING:
    from pcdet_poly.config.schema import Config

_PACKAGE = Path(__file__).resolve().parent.parent
CONFIG_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")  # in a wheel, in a clone


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG, key=value overrides, --explain and --plugin."""
    parser.add_argument(
        "config", metavar="CONFIG", type=parse_path_or_url, help="YAML file, or the name of one of ours: quick"
    )
    add_overrides(parser, "settings that win over the file: train.batch_size=2")
    parser.add_argument("--explain", action="store_true", help="print every setting and where it came from, then exit")
    add_plugin(parser)


def read_config(options: argparse.Namespace) -> Config:
    """Return the Config that the options name. With --explain, print it and end the program with 0."""
    from pcdet_poly.config.explain import explain
    from pcdet_poly.config.load import build_config, read_settings

    settings = read_settings(find_config(options.config), options.overrides)
    config = build_config(settings)
    if options.explain:
        print(explain(config, settings))
        raise SystemExit(0)
    return config


def find_config(name: str, folder: str = ".") -> Path:
    """Return the file that `name` is the path of, or the one of ours that is called so.

    Args:
        name: a path, or the name of a file in our configs with or without `configs/` and `.yaml`.
        folder: part of our configs to look in: "." or "sweeps".

    Raises:
        UserError: where there is neither; it names the nearest file.
    """
    path = Path(os.path.expanduser(name))
    if path.exists():
        return path
    own = name.removeprefix("configs/").removeprefix(f"{folder}/").removesuffix(".yaml")
    for each in CONFIG_FOLDERS:
        if (found := each / folder / f"{own}.yaml").is_file():
            return found
    nearest = suggest_path(path) or suggest_word(own, list_configs(folder))
    raise UserError(f"{name}: no such config file{nearest or '; `pcdet-poly config list` shows ours'}")


def list_configs(folder: str = ".") -> list[str]:
    """Return the names of our configs in one folder of them, in order."""
    found = {path.stem for each in CONFIG_FOLDERS for path in (each / folder).glob("*.yaml")}
    return sorted(found)
