"""Configs by path or by name: `my/own.yaml`, or `quick` for one that comes with the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pcdet_poly.errors import UserError, suggest_path, suggest_word

_PACKAGE = Path(__file__).resolve().parent.parent
CONFIG_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")  # in a wheel, in a clone


def find_config(name: str | Path, folder: str = ".") -> Path:
    """Return the file that `name` is the path of, or the one of ours that is called so.

    Args:
        name: a path, or the name of a file in our configs with or without `configs/` and `.yaml`:
            `quick`, `poly/centerpoint_pillar_eps1`.
        folder: part of our configs to look in: "." or "sweeps".

    Returns:
        A file that exists.

    Raises:
        UserError: where there is neither; it names the nearest file.
    """
    path = Path(os.path.expanduser(name))
    own = _shorten_name(str(name), folder)
    if (found := path if path.is_file() else _find_own(own, folder)) is not None:
        return found
    # A folder that exists is no near name of itself.
    nearest = ("" if path.exists() else suggest_path(path)) or suggest_word(own, list_configs(folder))
    raise UserError(f"{name}: no such config file{nearest or '; `pcdet-poly config list` shows ours'}")


def find_base(name: str, folder: Path) -> Path:
    """Return the config file that another one names: relative to that one's folder, or one of ours by its name.

    Args:
        name: what the file says: `../base.yaml`, or `centerpoint_pillar` for one of ours.
        folder: where the file lies that says it.

    Returns:
        A file that exists.

    Raises:
        UserError: where there is neither; it names the nearest file.
    """
    relative = folder / os.path.expanduser(name)
    if relative.is_file():
        return relative
    return _find_own(_shorten_name(name, "."), ".") or find_config(relative)


def list_configs(folder: str = ".") -> list[str]:
    """Return the names of our configs in one folder of them and below it, in order: `quick`, `sweeps/mini`."""
    return sorted(name for name, _ in _list_files(folder))


def name_config(path: Path) -> str | None:
    """Return the name of one of our configs, or None where `path` is another file."""
    names = {file.resolve(): name for name, file in _list_files(".")}
    return names.get(path.resolve())


def _list_files(folder: str) -> Iterator[tuple[str, Path]]:
    for each in CONFIG_FOLDERS:
        for path in (each / folder).rglob("*.yaml"):
            yield path.relative_to(each / folder).with_suffix("").as_posix(), path


def _shorten_name(name: str, folder: str) -> str:
    return name.replace(os.sep, "/").removeprefix("configs/").removeprefix(f"{folder}/").removesuffix(".yaml")


def _find_own(own: str, folder: str) -> Path | None:
    return next((path for name, path in _list_files(folder) if name == own), None)
