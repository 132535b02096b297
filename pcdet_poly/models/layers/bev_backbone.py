"""Bird's-eye image -> bird's-eye features: strided stages, each brought back to one resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.backbone import BackboneConfig


class BevBackbone(nn.Module):
    """SECOND's 2D network: stages of 3 x 3 convolutions, and an up-convolution of each stage's output.

    Stage i has one convolution with strides[i] and layers[i] more. Shapes: B frames, C channels, H x W cells in;
    (B, sum(up_channels), H / s, W / s) out, where s is the output stride.
    """

    def __init__(self, in_channels: int, cfg: BackboneConfig) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = sum(cfg.up_channels)
        inputs = (in_channels, *cfg.channels[:-1])
        self.stages = nn.ModuleList(
            _make_stage(*sizes) for sizes in zip(inputs, cfg.channels, cfg.layers, cfg.strides, strict=True)
        )
        self.ups = nn.ModuleList(
            _make_up(*sizes) for sizes in zip(cfg.channels, cfg.up_channels, cfg.up_strides, strict=True)
        )

    def forward(self, bev: Tensor) -> Tensor:
        """Compute the features of a bird's-eye image (B, C, H, W)."""
        outputs = []
        for stage, up in zip(self.stages, self.ups, strict=True):
            bev = stage(bev)
            outputs.append(up(bev))
        return torch.cat([_ask_for_dense_gradient(output) for output in outputs], dim=1)


def _ask_for_dense_gradient(features: Tensor) -> Tensor:
    """Let the gradient of a stage's features be copied out of that of all stages' channels.

    Behind a concatenation it comes as a part of each cell's channels. A CPU's relu in bfloat16 goes through that number
    by number where they do not fill vectors of 32: twelve times as long as for the copy and its own work.
    """
    is_slow = features.device.type == "cpu" and features.dtype == torch.bfloat16 and features.shape[1] % 32
    if is_slow and features.requires_grad and not torch.compiler.is_compiling():
        features.register_hook(_copy_densely)  # type: ignore[no-untyped-call]
    return features


def _copy_densely(gradient: Tensor) -> Tensor:
    is_channels_last = gradient.stride(1) == 1
    return gradient.contiguous(memory_format=torch.channels_last if is_channels_last else torch.contiguous_format)


def _make_stage(in_channels: int, channels: int, layers: int, stride: int) -> nn.Sequential:
    convolutions = [nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)]
    convolutions += [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers)]
    return nn.Sequential(*(part for convolution in convolutions for part in (convolution, *_make_norm_relu(channels))))


def _make_up(channels: int, out_channels: int, stride: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(channels, out_channels, stride, stride=stride, bias=False)
    return nn.Sequential(convolution, *_make_norm_relu(out_channels))


def _make_norm_relu(channels: int) -> tuple[nn.BatchNorm2d, nn.ReLU]:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01), nn.ReLU(inplace=True)
