"""How large the gradients of the classification and of the other losses are: on the maps, and in the trunk they share.

Clipping and Adam take the size of the whole gradient away. What a loss weight or an epsilon changes is how much of it
comes from the classification, which is what these numbers are about. They are logged, and change nothing.

    gradient/logits/NAME   sum of |dL/dx| over the network's output
    gradient/trunk/NAME    norm of the gradient in the last parameters that both kinds of losses reach
    gradient/trunk/ratio   classification : box, of these norms

NAME is "classification" or "box", which is every other loss. The numbers are those of this process's last batch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

CLASSIFICATIONS = frozenset({"heatmap", "class", "segmentation"})  # losses that PolyLoss is about


class GradientSizes:
    """Measures gradient sizes of one network, whose last shared parameters it looks for once.

    Args:
        model: the network.
        with_trunk: whether to look into it; a compiled network and one with checkpointed activations cannot be
            differentiated more than once.
    """

    def __init__(self, model: nn.Module, *, with_trunk: bool = True) -> None:
        self._parameters = [each for each in model.parameters() if each.requires_grad]
        self._shared: list[Tensor] | None = None if with_trunk else []

    def measure(self, maps: Any, losses: Mapping[str, Tensor], *, scale: float = 1.0) -> dict[str, float]:
        """Measure the sizes, before the backward pass frees the graph.

        Args:
            maps: record that the network returned.
            losses: scalars by name, computed from `maps`.
            scale: losses are multiplied by it, and sizes divided, so that fp16 keeps small gradients.

        Returns:
            Numbers by their names in the log; none where there is only one kind of losses.
        """
        of_kind = {
            "classification": [loss for name, loss in losses.items() if name in CLASSIFICATIONS],
            "box": [loss for name, loss in losses.items() if name not in CLASSIFICATIONS],
        }
        if not all(any(loss.requires_grad for loss in each) for each in of_kind.values()):
            return {}
        totals = {name: scale * torch.stack(each).sum() for name, each in of_kind.items()}
        outputs = list_tensors(maps)
        if self._shared is None:
            self._shared = self._find_last_shared(list(totals.values()))
        sizes: dict[str, float] = {}
        for name, total in totals.items():
            slopes = _differentiate(total, outputs)
            sizes[f"gradient/logits/{name}"] = sum(float(slope.abs().sum()) for slope in slopes) / scale
        shared = self._shared or []
        norms = {name: _compute_norm(_differentiate(total, shared)) / scale for name, total in totals.items()}
        sizes |= {f"gradient/trunk/{name}": norm for name, norm in norms.items() if shared}
        if shared and norms["box"] > 0:
            sizes["gradient/trunk/ratio"] = norms["classification"] / norms["box"]
        return {name: value for name, value in sizes.items() if math.isfinite(value)}  # fp16 may overflow

    def _find_last_shared(self, totals: Sequence[Tensor]) -> list[Tensor] | None:
        """Find the last module's parameters, in the order of registration, that every total moves.

        Anchors' outputs are one convolution, whose weight for one loss the graph joins to the others: the gradient
        there is 0. None where all those that the totals reach are so, as without an object: another batch will tell.
        """
        reached = [torch.autograd.grad(t, self._parameters, retain_graph=True, allow_unused=True) for t in totals]
        shared = [(p, found) for p, *found in zip(self._parameters, *reached, strict=True) if _has_all(found)]
        moved = [p for p, found in shared if all(bool(slope.any()) for slope in found if slope is not None)]
        return moved[-1:] if moved or not shared else None


def _has_all(slopes: Sequence[Tensor | None]) -> bool:
    return all(slope is not None for slope in slopes)


def list_tensors(maps: Any) -> list[Tensor]:
    """List the tensors of a record that gradients flow through, those of records inside it included."""
    if isinstance(maps, Tensor):
        return [maps] if maps.requires_grad else []
    if dataclasses.is_dataclass(maps):
        return [each for field in dataclasses.fields(maps) for each in list_tensors(getattr(maps, field.name))]
    if isinstance(maps, Mapping):
        return [each for value in maps.values() for each in list_tensors(value)]
    if isinstance(maps, tuple | list):
        return [each for value in maps for each in list_tensors(value)]
    return []


def _differentiate(total: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    if not inputs:
        return []
    found = torch.autograd.grad(total, inputs, retain_graph=True, allow_unused=True)
    return [slope.float() for slope in found if slope is not None]


def _compute_norm(slopes: Sequence[Tensor]) -> float:
    return float(sum(float(slope.double().pow(2).sum()) for slope in slopes)) ** 0.5
