"""Backbone and head: published sizes, and the layers written out with functional calls."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pcdet_poly.config.sections.backbone import BackboneConfig
from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.layers.center_head import CenterHead

SMALL = BackboneConfig(layers=(1, 2), strides=(2, 2), channels=(4, 6), up_strides=(1, 2), up_channels=(5, 3))


def randomized(module: nn.Module) -> nn.Module:
    """Weights, biases and running statistics drawn anew, so that none is 0 or 1 by chance."""
    torch.manual_seed(5)
    for values in [*module.parameters(), *module.buffers()]:
        if values.is_floating_point():
            nn.init.uniform_(values, 0.2, 0.8)
    return module.double().eval()


def norm_relu(x: Tensor, norm: nn.Module, eps: float) -> Tensor:
    shape = (1, -1, 1, 1)
    x = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + eps).sqrt()
    return (x * norm.weight.view(shape) + norm.bias.view(shape)).clamp_min(0)


def test_backbone_equals_its_layers_written_out():
    backbone = randomized(BevBackbone(3, SMALL))
    image = torch.randn(2, 3, 12, 8, dtype=torch.float64)
    x, outputs = image, []
    for stage, up, stride, up_stride in zip(backbone.stages, backbone.ups, (2, 2), (1, 2), strict=True):
        for number in range(0, len(stage), 3):
            padded = functional.pad(x, (1, 1, 1, 1))
            x = functional.conv2d(padded, stage[number].weight, stride=stride if number == 0 else 1)
            x = norm_relu(x, stage[number + 1], 1e-3)
        blocks = torch.einsum("bchw,cdij->bdhiwj", x, up[0].weight)  # a stride x stride block per cell
        size = (len(x), -1, x.shape[2] * up_stride, x.shape[3] * up_stride)
        outputs.append(norm_relu(blocks.reshape(size), up[1], 1e-3))
    torch.testing.assert_close(backbone(image), torch.cat(outputs, 1))


@pytest.mark.parametrize(
    ("strides", "up_strides"), [((1, 2), (1, 2)), ((2, 2), (1, 2)), ((4, 2), (2, 4)), ((2,), (2,))]
)
def test_backbone_output_has_the_stride_the_config_says(strides, up_strides):
    count = len(strides)
    cfg = BackboneConfig(
        layers=(1,) * count, strides=strides, channels=(4,) * count, up_strides=up_strides, up_channels=(3,) * count
    )
    out = BevBackbone(2, cfg)(torch.zeros(1, 2, 16, 24))
    assert out.shape == (1, 3 * count, 16 // cfg.output_stride, 24 // cfg.output_stride)


def test_head_equals_its_layers_written_out():
    head = randomized(CenterHead(5, 3, CenterHeadConfig(head_width=4, iou_branch=True)))
    image = torch.randn(2, 5, 7, 6, dtype=torch.float64)

    def block(x: Tensor, part: nn.Sequential) -> Tensor:
        return norm_relu(functional.conv2d(x, part[0].weight, part[0].bias, padding=1), part[1], 1e-5)

    shared = block(image, head.shared)
    maps = head(image)
    for name, channels in {"heatmap": 3, "offset": 2, "z": 1, "size": 3, "heading": 2, "iou": 1}.items():
        branch = head.branches[name]
        expected = functional.conv2d(block(shared, branch), branch[-1].weight, branch[-1].bias, padding=1)
        assert expected.shape == (2, channels, 7, 6)
        torch.testing.assert_close(getattr(maps, name), expected)


@pytest.mark.parametrize(("prior", "bias"), [(0.1, -2.1972), (0.01, -4.5951)])
def test_heatmap_starts_from_its_prior(prior, bias):
    head = CenterHead(5, 3, CenterHeadConfig(head_width=4, prior=prior)).eval()
    assert head.branches["heatmap"][-1].bias.tolist() == pytest.approx([bias] * 3, abs=5e-5)  # four digits
    assert head(torch.zeros(1, 5, 4, 4)).heatmap.sigmoid().mean().item() == pytest.approx(prior, rel=0.1)


def test_no_iou_map_without_its_branch():
    assert CenterHead(5, 3, CenterHeadConfig(head_width=4))(torch.zeros(1, 5, 4, 4)).iou is None
