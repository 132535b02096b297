"""What the targets of a loss must satisfy: the shape of the logits, and values that can be meant.

Shapes are compared always. Values are looked at on the CPU alone: reading them from a GPU would stop it, and code that
is being compiled has none yet.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_target(logits: Tensor, target: Tensor) -> None:
    """Check targets of yes-or-no answers, in [0, 1].

    Raises:
        ValueError: where the shape is not that of the logits, or a value is outside [0, 1] or not a number.
    """
    if target.shape != logits.shape:
        raise ValueError(
            f"target: shape {tuple(target.shape)} given, that of the logits, {tuple(logits.shape)}, needed; neither is "
            "broadcast"
        )
    low, high = _find_range(target)
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise ValueError(f"target: values from {low:g} to {high:g} given, in [0, 1] needed")


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Check labels of logits (..., K): class indices (...), or distributions (..., K) of floats.

    Raises:
        ValueError: where the shape is another, an index is no class, or a share is outside [0, 1] or not a number.
    """
    if labels.is_floating_point():
        check_target(logits, labels)
        return
    if labels.dtype == torch.bool or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels: {labels.dtype} {tuple(labels.shape)} given; class indices {tuple(logits.shape[:-1])} or floating "
            f"distributions {tuple(logits.shape)} needed"
        )
    low, high = _find_range(labels)
    if not (low >= 0 and high < logits.shape[-1]):
        raise ValueError(
            f"labels: class indices from {low:g} to {high:g} given, 0 to {logits.shape[-1] - 1} needed; leave rows to "
            "ignore out"
        )


def _find_range(values: Tensor) -> tuple[float, float]:
    """Return the least and the largest value, NaN if one is; 0, 0 where there is none or looking is not cheap."""
    if values.dtype == torch.bool or not values.numel() or values.device.type != "cpu" or torch.compiler.is_compiling():
        return 0.0, 0.0
    low, high = torch.aminmax(values.detach())
    return float(low), float(high)
