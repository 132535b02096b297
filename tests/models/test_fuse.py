"""Folding batch norms changes no output, and leaves the model that is trained alone."""

import numpy as np
import pytest
import torch
from torch import nn

from pcdet_poly.models import build_recipe
from pcdet_poly.models.fuse import fuse_for_inference
from pcdet_poly.models.layers.pillarnext.aspp_neck import Pyramid
from pcdet_poly.models.layers.rsn.sparse_blocks import RsnSparseBlocks
from pcdet_poly.models.layers.sparse_layers import SparseNorm
from pcdet_poly.structures import Sites, SparseTensor
from tests.tolerances import NETWORK

from . import test_centerpoint_voxel as voxel
from .pillarnext import test_network as pillarnext
from .scenes import batch_of, random_points, tiny_config


def test_fused_model_equals_the_model():
    torch.manual_seed(0)
    model = build_recipe(tiny_config()).model
    batch = batch_of([random_points(np.random.default_rng(0), 500), random_points(np.random.default_rng(1), 0)])
    for _ in range(3):
        model(batch)  # running statistics that are neither 0 nor 1
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fused = fuse_for_inference(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not [part for part in fused.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():
        expected, maps = model.eval()(batch), fused(batch)
    for name in ("heatmap", "offset", "z", "size", "heading"):
        torch.testing.assert_close(getattr(maps, name), getattr(expected, name), **NETWORK)


@pytest.mark.parametrize("width", [8, 16])  # 16 fill vector registers
@pytest.mark.parametrize("kind", ["pillarnext", "voxel", "voxel_residual"])
def test_sparse_layers_and_pyramids_without_norms_are_the_same(kind: str, width: int):
    """Each layer adds, and lets zero take the place of negative numbers, by itself."""
    if kind == "pillarnext":
        stages = {"channels": [width] * 3, "strides": [1, 2, 2], "blocks": [1, 1, 1], "out_channels": 16}
        model = pillarnext.small_recipe(sparse=stages).model
    else:
        cfg = voxel.tiny(residual=kind == "voxel_residual")
        model = voxel.build(cfg.model_copy(update={"model": cfg.model.model_copy(update={"channels": (width,) * 3})}))
    batch = batch_of([random_points(np.random.default_rng(0), 500), random_points(np.random.default_rng(1), 0)])
    for _ in range(3):
        model(batch)
    fused = fuse_for_inference(model)
    left = [name for name, part in fused.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert all(name.startswith("encoder.layers") and kind == "pillarnext" for name in left)
    with torch.no_grad():
        expected, maps = model.eval()(batch), fused(batch)
    for name in ("heatmap", "offset", "z", "size", "heading"):
        torch.testing.assert_close(getattr(maps, name), getattr(expected, name), **NETWORK)


@pytest.mark.parametrize("channels", [6, 16])
def test_blocks_of_rsn_without_norms_are_the_same(channels: int):
    torch.manual_seed(0)
    blocks = RsnSparseBlocks(channels, ["B0", "B1", "B0/2"], depth=3)
    sites = Sites(torch.arange(0, 400, 3), (5, 10, 8), 1)
    cells = SparseTensor(torch.randn(len(sites), channels), sites)
    for _ in range(3):
        blocks(cells)
    fused = fuse_for_inference(blocks)
    assert not [part for part in fused.modules() if isinstance(part, SparseNorm)]
    with torch.no_grad():
        torch.testing.assert_close(fused(cells).features, blocks.eval()(cells).features, **NETWORK)


def test_a_part_of_the_users_own_stays_what_it_is():
    class Louder(Pyramid):
        def forward(self, bev: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(bev)

    torch.manual_seed(0)
    model, image = nn.Sequential(Louder(4, [1, 2])), torch.randn(1, 4, 9, 9)
    for _ in range(3):
        model(image)
    expected = model.eval()(image)
    torch.testing.assert_close(fuse_for_inference(model)(image), expected, **NETWORK)
