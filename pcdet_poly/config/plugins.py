"""Objects of a user's own packages: what may be imported, and errors of one line where it cannot.

A config or a checkpoint never makes code run: only a module that the command line names (`--plugin`, `admit_plugin`)
or an entry point of an installed package is imported.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from pcdet_poly.errors import UserError, suggest_word

_ADMITTED: list[str] = []  # modules, in the order of the command line


def admit_plugin(module: str) -> None:
    """Import `module`, and let configs name what is in it and in its submodules.

    Raises:
        UserError: where there is no such module, or importing it fails.
    """
    try:
        import_plugin(module)
    except UserError as error:
        raise UserError(f"--plugin {error}") from None
    if module not in _ADMITTED:
        _ADMITTED.append(module)


def list_plugins() -> tuple[str, ...]:
    """Return the modules admitted so far."""
    return tuple(_ADMITTED)


def list_plugin_words() -> list[str]:
    """Return the command-line words that admit the same modules in another process."""
    return [word for module in _ADMITTED for word in ("--plugin", module)]


def is_admitted(module: str) -> bool:
    """Tell whether `module` is one of the admitted ones or lies in one of them."""
    return any(module == admitted or module.startswith(f"{admitted}.") for admitted in _ADMITTED)


def list_loaded_modules() -> list[ModuleType]:
    """Return the admitted modules, and those inside of them that have been imported."""
    return [module for name, module in list(sys.modules.items()) if is_admitted(name)]


def list_entry_points(group: str, name: str | None = None) -> list[EntryPoint]:
    """Return what installed packages register in `group`, all of it or what is called `name`, without importing it."""
    return [entry for entry in _read_entry_points(group, tuple(sys.path)) if name in (None, entry.name)]


@cache
def _read_entry_points(group: str, path: tuple[str, ...]) -> list[EntryPoint]:
    """Read the metadata of every package on `path`, which takes some 10 ms."""
    return sorted(entry_points(group=group))


def import_plugin(module: str) -> ModuleType:
    """Import a module of a user. Raises UserError in one line where that fails, whatever the reason."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise UserError(
                f"{module}: no such module; install its package, or put the folder that holds it on PYTHONPATH"
            ) from None
        raise _explain_failure(module, error) from error
    except (Exception, SystemExit) as error:  # whatever a user's module does
        raise _explain_failure(module, error) from error


def find_object(name: str) -> Any:
    """Return the object that "module:object" names.

    Raises:
        UserError: where the module cannot be imported, or has no such object.
    """
    module_name, _, object_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *object_name.split("."))):
        raise UserError(f"{name!r} is no name of the form module:object, such as my_package.my_module:MyDetector")
    is_ours = module_name.partition(".")[0] == "pcdet_poly"  # a failure is a bug then, and keeps its traceback
    found: Any = import_module(module_name) if is_ours else import_plugin(module_name)
    for part in object_name.split("."):
        if not hasattr(found, part):
            known = [each for each in vars(found) if not each.startswith("_")] if hasattr(found, "__dict__") else []
            raise UserError(f"{module_name} has no {object_name!r}{suggest_word(part, known)}")
        found = getattr(found, part)
    return found


def load_function(function: Callable[..., Any] | str, *arguments: Any, **named: Any) -> Callable[..., Any]:
    """Return the function of a kind, imported if it is a name, after a look at whether it takes these arguments.

    Args:
        function: a function, or "module:function".
        arguments: what it will be called with, or stand-ins.
        named: the same by keyword.

    Raises:
        UserError: where it cannot be imported, is no function, or has other parameters.
    """
    found = find_object(function) if isinstance(function, str) else function
    if not callable(found):
        raise UserError(f"is {found!r}, which cannot be called")
    signature = inspect.signature(found)
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        shown = getattr(found, "__name__", repr(found))
        raise UserError(f"{shown}{signature} does not take what it is called with: {error}") from None
    return found


def _explain_failure(module: str, error: BaseException) -> UserError:
    """Return the failure of an import as one line: the error, and the last place in the user's code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}:{error.lineno})"
        error = SyntaxError(error.msg)
    reason = " ".join(str(error).split())
    return UserError(f"{module}: importing it failed: {type(error).__name__}: {reason}{place}")
