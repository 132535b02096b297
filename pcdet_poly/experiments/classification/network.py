"""A residual network of three stages, as they were built for CIFAR, narrow enough for one core."""

from __future__ import annotations

from torch import nn

from pcdet_poly.experiments.digits.network import ResidualBlock

WIDTH = 8  # channels of the first stage: 22,684 parameters with 100 classes


def build_network(num_classes: int, *, width: int = WIDTH) -> nn.Sequential:
    """Build a network (B, 1, H, W) -> logits (B, num_classes) to which all classes are equally likely at first."""
    last = nn.Linear(4 * width, num_classes)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        ResidualBlock(width, width, stride=1),
        ResidualBlock(width, 2 * width, stride=2),
        ResidualBlock(2 * width, 4 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        last,
    )
