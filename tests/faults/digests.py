"""One number that differs wherever two values, of records, arrays, tensors and plain types, differ in a bit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel


def digest(value: Any) -> str:
    """The SHA-256 of a value."""
    hasher = hashlib.sha256()
    _add(hasher, value)
    return hasher.hexdigest()


def _add(hasher: Any, value: Any) -> None:
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        hasher.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            hasher.update(field.name.encode())
            _add(hasher, getattr(value, field.name))
    elif isinstance(value, Mapping):
        hasher.update(f"{{{len(value)}".encode())
        for key, inner in value.items():
            hasher.update(repr(key).encode())
            _add(hasher, inner)
    elif isinstance(value, list | tuple):
        hasher.update(f"[{len(value)}".encode())
        for inner in value:
            _add(hasher, inner)
    else:
        hasher.update(repr(value).encode())
