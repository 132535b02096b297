"""Settings of bird's-eye backbones and necks."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from pcdet_poly.config.sections.section import Count, Section


class BackboneConfig(Section):
    """Bird's-eye backbone and neck: stages of 3 x 3 convolutions, each brought to one resolution."""

    layers: tuple[Count, ...] = (3, 5, 5)
    """Number of convolutions of each stage after its strided one."""
    strides: tuple[Count, ...] = (1, 2, 2)
    """Stride of each stage's first convolution."""
    channels: tuple[Count, ...] = (64, 128, 256)
    """Width of each stage."""
    up_strides: tuple[Count, ...] = (1, 2, 4)
    """Factor by which each stage's output is enlarged."""
    up_channels: tuple[Count, ...] = (128, 128, 128)
    """Width of each stage's enlarged output; these are concatenated."""

    @property
    def output_stride(self) -> int:
        """Cells of the input grid per cell of the output map."""
        return self.strides[0] // self.up_strides[0]

    @model_validator(mode="after")
    def _check_one_resolution(self) -> Self:
        sizes = {len(x) for x in (self.layers, self.strides, self.channels, self.up_strides, self.up_channels)}
        if len(sizes) > 1:
            raise ValueError("layers, strides, channels, up_strides and up_channels must have one length")
        stride = 1
        for down, up in zip(self.strides, self.up_strides, strict=True):
            stride *= down
            if stride != up * self.output_stride:
                raise ValueError(f"strides {self.strides} and up_strides {self.up_strides} end at different sizes")
        return self

    @property
    def total_stride(self) -> int:
        """Cells of the input grid per cell of the deepest stage."""
        stride = 1
        for down in self.strides:
            stride *= down
        return stride

    def explain_misfit(self, num_x: int, num_y: int) -> str | None:
        """Say why an image of so many cells cannot pass through, or return None where it can."""
        if num_x % self.total_stride or num_y % self.total_stride:
            return (
                f"grid: {num_x} x {num_y} cells are not a multiple of the backbone's total stride {self.total_stride}"
            )
        return None


class SparseBackboneConfig(Section):
    """Sparse 2D stages on pillars, then a dense image; PillarNeXt's by default.

    Each stage is an ordinary convolution, which makes neighbours of active cells active, and residual blocks on the
    cells that are then active.
    """

    channels: tuple[Count, ...] = (64, 128, 256, 256)
    """Width of each stage."""
    strides: tuple[Count, ...] = (1, 2, 2, 2)
    """Stride of each stage's first convolution."""
    blocks: tuple[Annotated[int, Field(ge=0)], ...] = (2, 2, 2, 2)
    """Residual blocks of each stage."""
    out_channels: Count = 256
    """Width of the dense image, made by a 1 x 1 convolution of the last stage."""

    @property
    def total_stride(self) -> int:
        """Pillars per cell of the dense image."""
        return math.prod(self.strides)

    @model_validator(mode="after")
    def _check_stages_agree(self) -> Self:
        if len({len(self.channels), len(self.strides), len(self.blocks)}) > 1 or not self.channels:
            raise ValueError("channels, strides and blocks must have one length, of at least one stage")
        return self


class AsppConfig(Section):
    """Neck that looks at several distances at once (atrous spatial pyramid pooling), as wide as its input.

    A residual block; then the block's output, a 1 x 1 convolution of it, and a convolution of it by one 3 x 3 kernel at
    each dilation, all brought back to one width.
    """

    dilations: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 6, 12, 18)
    """Cells between the elements of the 3 x 3 kernel that all dilations share."""
