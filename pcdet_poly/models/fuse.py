"""Trained network -> the same function with batch norms folded into the layers before them."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils import fusion


def fuse_for_inference(model: nn.Module) -> nn.Module:
    """Copy `model` in evaluation mode, without batch norms after convolutions; `model` stays as it was.

    The copy computes the same up to float rounding, but its state dict does not fit `model`. The pillar encoder is
    left alone: it folds its own batch norms.
    """
    fused = deepcopy(model).eval()
    for parent in list(fused.modules()):
        children = list(parent.named_children())
        for (name, first), (norm_name, second) in pairwise(children):
            if folded := _fold_norm(first, second):
                setattr(parent, name, folded)
                setattr(parent, norm_name, nn.Identity())
    return fused


def _fold_norm(layer: nn.Module, norm: nn.Module) -> nn.Module | None:
    """Fold `norm` into the `layer` before it; None where the two are no convolution and batch norm."""
    match layer, norm:
        case nn.Conv2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm)
        case nn.ConvTranspose2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm, transpose=True)
        case _:
            return None
