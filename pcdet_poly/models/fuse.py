"""Trained network -> the same function with batch norms folded into the layers before them."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils import fusion

from pcdet_poly.models.centerpoint_pillar import CenterPointPillar
from pcdet_poly.models.centerpoint_voxel import CenterPointVoxel
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.models.layers.candidate_head import CandidateHead
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.models.layers.folded_layers import fold_layer, fold_linear
from pcdet_poly.models.layers.sparse_layers import SparseNorm
from pcdet_poly.models.recipe import Recipe


def fuse_recipe(recipe: Recipe) -> nn.Module:
    """Copy a detector's network for inference by `recipe.decode` alone.

    Args:
        recipe: the detector, which stays as it was.

    Returns:
        What `fuse_for_inference` does; where the detector is one of ours with a centre head, with boxes of the cells
        that may become some in place of maps of all cells. They are computed in float32, whatever the maps are.
    """
    fused = fuse_for_inference(recipe.model)
    # A detector of the user's own may do something else with its maps.
    is_ours = type(fused) in (CenterPointPillar, CenterPointVoxel) and type(recipe.decode) is CenterDecoder
    if is_ours and type(head := fused.get_submodule("head")) is CenterHead:
        fused.head = CandidateHead(head)
    return fused


def fuse_for_inference(model: nn.Module) -> nn.Module:
    """Copy `model` in evaluation mode, without batch norms after convolutions; `model` stays as it was.

    The copy computes the same up to float rounding, but its state dict does not fit `model`, and its sparse layers have
    no gradients. The pillar encoder is left alone: it folds its own batch norms.
    """
    fused = deepcopy(model).eval()
    for parent in list(fused.modules()):
        children = list(parent.named_children())
        for name, child in children:
            if (folded := fold_layer(child)) is not None:
                setattr(parent, name, folded)
        for (name, first), (norm_name, second) in pairwise(children):
            if folded := _fold_norm(first, second):
                setattr(parent, name, folded)
                setattr(parent, norm_name, nn.Identity())
    return fused


def _fold_norm(layer: nn.Module, norm: nn.Module) -> nn.Module | None:
    """Fold `norm` into the `layer` before it; None where the two are no dense layer and a batch norm of it."""
    match layer, norm:
        case nn.Conv2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm)
        case nn.ConvTranspose2d(), nn.BatchNorm2d():
            return fusion.fuse_conv_bn_eval(layer, norm, transpose=True)
        case nn.Linear(), SparseNorm():
            return fold_linear(layer, norm)
        case _:
            return None
