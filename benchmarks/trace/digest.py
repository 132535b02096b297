"""Tensors, tables and files -> SHA-256 digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def digest_tensors(tensors: Iterable[Tensor | None]) -> str:
    """Digest of types, shapes and bytes, in the given order. None, for a gradient that there is not, counts."""
    import torch  # here, because digests of files need no torch

    result = hashlib.sha256()
    for tensor in tensors:
        if tensor is None:
            result.update(b"none;")
            continue
        host = tensor.detach().cpu().contiguous()
        result.update(f"{host.dtype} {tuple(host.shape)};".encode())
        result.update(host.reshape(-1).view(torch.uint8).numpy().tobytes())
    return result.hexdigest()


def digest_named_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Digest of the names and of their tensors, in alphabetical order of the names."""
    names = sorted(tensors)
    text = "\n".join([*names, digest_tensors(tensors[name] for name in names)])
    return hashlib.sha256(text.encode()).hexdigest()


def digest_value(value: Any) -> str:
    """Digest of numbers and text in lists and dictionaries; floats count with all their digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def digest_files(folder: Path) -> dict[str, str]:
    """Digest of the bytes of every file below `folder`, by its path from there, in alphabetical order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
