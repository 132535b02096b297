"""A kernel's machine code on disk, found by the kernel's fingerprint.

numba's own cache looks at the text of the file that holds a kernel: it compiles again after any edit of that file, and
goes on running old code after an edit of a called function in another file. And two processes that compile the same
kernel for different arguments can take each other's file. Here, a file's name says all that its contents depend on.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from numba.core import compiler
from numba.core.caching import _Cache
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

from pcdet_poly.files import atomic_path
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.ops.compiler.cache_folders import find_writable_folder, list_cache_folders, remove_outdated
from pcdet_poly.ops.compiler.fingerprint import compute_fingerprint, name_compiler
from pcdet_poly.ops.compiler.progress import report_compiled, report_compiling
from pcdet_poly.ops.compiler.registry import find_source_file, list_kernels

_MARK = b"\ncrc32 "  # before the checksum that ends a file
_NUM_END = len(_MARK) + 4
_rebuild: Any = compiler.CompileResult._rebuild
_serialise: Any = dumps
_normalise: Any = normalize_signature


class DiskCache(_Cache):
    """What numba asks before it compiles a kernel, and tells after. Nothing is read before the kernel's first call."""

    def __init__(self, kernel: Dispatcher) -> None:
        self._kernel = kernel
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder that is written to; part of numba's statistics."""
        folder = find_writable_folder(find_source_file(self._kernel))
        return None if folder is None else str(folder)

    def load_overload(self, sig: Any, target_context: Any) -> Any | None:
        """Load the machine code for arguments of given types, unless it must be compiled.

        Args:
            sig: numba's types of the arguments.
            target_context: numba's, of the processor.

        Returns:
            numba's compile result, or None.
        """
        target_context.refresh()
        if self._enabled:
            name = self._build_file_name(sig, target_context.codegen())
            for folder in list_cache_folders(find_source_file(self._kernel)):
                data = _read(folder / name, _list_argument_types(sig))
                if data is not None:
                    return _rebuild(target_context, *data)
        report_compiling(self._kernel)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code just compiled, and remove what no kernel of the same file uses any more.

        Args:
            sig: numba's types of the arguments.
            data: numba's compile result.
        """
        report_compiled(self._kernel)
        if not self._enabled or any(not loop.can_cache for loop in data.lifted) or data.library.has_dynamic_globals:
            return
        source = find_source_file(self._kernel)
        folder = find_writable_folder(source)
        try:
            if folder is None:
                raise OSError("no folder can be written")
            with atomic_path(folder / self._build_file_name(sig, data.codegen)) as temporary:
                temporary.write_bytes(_add_checksum(_serialise((_list_argument_types(sig), data._reduce()))))
            kernels = list_kernels(source)
            current = {(_name_kernel(kernel), compute_fingerprint(kernel)) for kernel in kernels}
            remove_outdated(folder, source, _name_compiler(), current)
        except OSError as error:
            _warn_that_nothing_is_kept(f"{error.strerror or error}")

    def enable(self) -> None:
        """Read and write from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Remove what is kept of the kernel as it is now."""
        folder = find_writable_folder(find_source_file(self._kernel))
        for path in folder.glob(f"{_start_file_name(self._kernel)}*") if folder is not None else ():
            path.unlink(missing_ok=True)

    def _build_file_name(self, sig: Any, codegen: Any) -> str:
        types = _list_argument_types(sig)
        fields = [list(_list_fields(each)) for each in types]
        specialisation = repr((types, fields, codegen.magic_tuple()))  # with the processor's name and features
        return f"{_start_file_name(self._kernel)}{hashlib.sha256(specialisation.encode()).hexdigest()[:16]}.nbc"


def select_kernels_not_on_disk(kernels: Iterable[Dispatcher]) -> list[Dispatcher]:
    """Select those of `kernels` that no cache folder holds for any types of arguments."""
    return [kernel for kernel in kernels if not _is_on_disk(kernel)]


def _start_file_name(kernel: Dispatcher) -> str:
    """Build the part of its files' names that tells a kernel, as it is now."""
    stem = find_source_file(kernel).stem
    return f"{stem}.{_name_kernel(kernel)}-{compute_fingerprint(kernel)}.{_name_compiler()}-"


def _is_on_disk(kernel: Dispatcher) -> bool:
    prefix = _start_file_name(kernel)
    return any(
        next(folder.glob(f"{prefix}*"), None) is not None for folder in list_cache_folders(find_source_file(kernel))
    )


def _read(path: Path, argument_types: tuple[Any, ...]) -> tuple[Any, ...] | None:
    try:
        types, data = pickle.loads(_check(path.read_bytes()))
    except Exception:  # not there, not readable, damaged, cut short by a crash: whatever it is, compiling mends it
        return None
    return data if types == argument_types else None


def _add_checksum(data: bytes) -> bytes:
    """Append a CRC-32: one wrong bit in machine code may be a wrong number, or a program that dies without a word."""
    return data + _MARK + zlib.crc32(data).to_bytes(4, "little")


def _check(data: bytes) -> bytes:
    """Return what `_add_checksum` was given, or a file of before there were checksums, which ends as a pickle does."""
    content, end = data[:-_NUM_END], data[-_NUM_END:]
    if end == _MARK + zlib.crc32(content).to_bytes(4, "little"):
        return content
    if end.startswith(_MARK) or not data.endswith(pickle.STOP):
        raise ValueError("damaged")
    return data


def _list_argument_types(sig: Any) -> tuple[Any, ...]:
    return tuple(_normalise(sig)[0])


def _list_fields(argument_type: Any) -> Iterator[tuple[str, ...]]:
    """List the fields of a named tuple and of those in it: machine code knows a field by its position alone."""
    if hasattr(argument_type, "fields") and hasattr(argument_type, "instance_class"):
        yield tuple(argument_type.fields)
    for member in getattr(argument_type, "types", ()):
        yield from _list_fields(member)


def _name_kernel(kernel: Dispatcher) -> str:
    return kernel.py_func.__qualname__.replace("<", "").replace(">", "")


@cache
def _name_compiler() -> str:
    flags = getattr(sys, "abiflags", "")  # not in Windows
    return f"{name_compiler()}.py{sys.version_info.major}{sys.version_info.minor}{flags}"


@cache
def _warn_that_nothing_is_kept(reason: str) -> None:
    print_line(
        f"warning: compiled kernels are not kept ({reason}), so every process compiles them again; "
        "set NUMBA_CACHE_DIR to a folder that can be written",
        file=sys.stderr,
    )
