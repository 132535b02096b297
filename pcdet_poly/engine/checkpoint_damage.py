"""One checksum over all that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import google_crc32c
import torch
from torch import Tensor


def compute_checksum(content: Any) -> int:
    """Compute one CRC-32C over everything a checkpoint holds: names, numbers, texts, and the bytes of all tensors.

    Args:
        content: tensors and plain types, nested in mappings and sequences.

    Returns:
        A number of 32 bits that any change of a single byte changes.
    """
    return _extend_checksum(0, content)


def _extend_checksum(crc: int, value: Any) -> int:
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        crc = google_crc32c.extend(crc, f"{value.dtype}{tuple(value.shape)}".encode())
        return google_crc32c.extend(crc, flat.view(dtype=torch.uint8).numpy().tobytes()) if flat.numel() else crc
    if isinstance(value, Mapping):
        crc = google_crc32c.extend(crc, f"{{{len(value)}".encode())
        for key, inner in value.items():
            crc = _extend_checksum(google_crc32c.extend(crc, repr(key).encode()), inner)
        return crc
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        crc = google_crc32c.extend(crc, f"[{len(value)}".encode())
        for inner in value:
            crc = _extend_checksum(crc, inner)
        return crc
    return google_crc32c.extend(crc, repr(value).encode())
