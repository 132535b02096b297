"""Trained network -> the same function with batch norms folded into the layers before them."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils import fusion


def fuse_for_inference(model: nn.Module) -> nn.Module:
    """A copy of `model` in evaluation mode without batch norms after convolutions; `model` stays as it was.

    (The pillar encoder folds its own.) Equal up to float rounding. State dicts of the copy do not fit `model`.
    """
    fused = deepcopy(model).eval()
    for parent in list(fused.modules()):
        children = list(parent.named_children())
        for (name, first), (norm_name, second) in pairwise(children):
            if folded := _folded(first, second):
                setattr(parent, name, folded)
                setattr(parent, norm_name, nn.Identity())
    return fused


def _folded(layer: nn.Module, norm: nn.Module) -> nn.Module | None:
    """`layer` followed by `norm` as one layer, or None where they are no such pair."""
    match layer, norm:
        case nn.Conv2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm)
        case nn.ConvTranspose2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm, transpose=True)
        case _:
            return None
