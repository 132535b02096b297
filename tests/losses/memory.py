"""Peak memory of a loss with its backward pass, and the plain loss that ours is compared with."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def plain_focal_heatmap(logits: Tensor, heatmap: Tensor) -> Tensor:
    """The penalty-reduced focal loss as one writes it down, with logsigmoid."""
    peak = (heatmap == 1).to(logits.dtype)
    p = torch.sigmoid(logits)
    at_peak = -F.logsigmoid(logits) * (1 - p) ** 2 * peak
    elsewhere = -F.logsigmoid(-logits) * p**2 * (1 - heatmap) ** 4 * (1 - peak)
    return at_peak + elsewhere


class _LiveStorage(TorchDispatchMode):
    """Counts the bytes of the tensors that operations return, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key not in self.live:
                    self.live[key] = storage.nbytes()
                    weakref.finalize(storage, self.live.pop, key, None)
        self.peak = max(self.peak, sum(self.live.values()))
        return result


def peak_bytes(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, heatmap: Tensor) -> int:
    """Largest memory in use at once between the inputs and the gradient of the summed loss."""
    x = logits.detach().clone().requires_grad_()
    with _LiveStorage() as mode:
        loss(x, heatmap).sum().backward()
    return mode.peak
