"""Folding batch norms changes no output, and leaves the model that is trained alone."""

import numpy as np
import torch
from torch import nn

from pcdet_poly.models import build_recipe
from pcdet_poly.models.fuse import fuse_for_inference
from tests.tolerances import NETWORK

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
