"""A residual network small enough for 8 x 8 images and one core: about 20,000 parameters."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """A residual block of two 3 x 3 convolutions: (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        same = in_channels == channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve an image (B, C, H, W) and add its shortcut."""
        activated: Tensor = nn.functional.relu(self.layers(image) + self.shortcut(image))
        return activated


def build_residual_net(num_classes: int, *, width: int = 16) -> nn.Sequential:
    """Build a network (B, 1, 8, 8) -> logits (B, num_classes) to which all classes are equally likely at first."""
    last = nn.Linear(2 * width, num_classes)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        ResidualBlock(width, width),
        ResidualBlock(width, 2 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        last,
    )
