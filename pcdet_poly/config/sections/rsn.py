"""Settings of RSN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.losses import SigmoidFocalConfig
from pcdet_poly.config.sections.section import Count, Fraction, NotNegative, Positive, Real, Section, parse_number

Block = Literal["B0", "B0/2", "B1"]
Prior = Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)]


class RangeImageConfig(Section):
    """The LiDAR's points as an image, and the network on it: a U-Net of residual blocks.

    Stage i has blocks[i] blocks of channels[i], the first with strides[i]. The way back up mirrors it.
    """

    rows: Count = 64
    """Rows of the image, one per beam."""
    columns: Count = 2650
    """Columns of the image, azimuths in a full turn."""
    lidar_m: tuple[Real, Real, Real] = (1.43, 0.0, 2.18)
    """Position of the LiDAR in frames without a calibration, x y z in metres, vehicle frame; the default is Waymo's."""
    blocks: tuple[Count, ...] = Field(default=(1, 2, 2, 2), min_length=1)
    """Residual blocks per stage."""
    channels: tuple[Count, ...] = (16, 64, 128, 128)
    """Width of each stage."""
    strides: tuple[Literal[1, 2], ...] = (1, 2, 2, 2)
    """Stride of each stage's first block."""

    @property
    def out_channels(self) -> int:
        """Features per pixel: the first stage's and what comes back up to it."""
        return self.channels[0] * (2 if len(self.channels) > 1 else 1)

    @model_validator(mode="after")
    def _check_stages_agree(self) -> Self:
        if not len(self.blocks) == len(self.channels) == len(self.strides):
            raise ValueError("blocks, channels and strides must have one length")
        if self.strides[0] != 1:
            raise ValueError("strides: the first must be 1: points take their features at the image's full size")
        return self


class SegmentationConfig(SigmoidFocalConfig):
    """Foreground loss on points: sigmoid focal loss with PolyLoss coefficients."""

    weight: NotNegative = 400.0
    """Weight of this loss in the total."""


class RsnConfig(DetectorSection):
    """Range Sparse Net: range image U-Net, foreground points, sparse convolutions, head on voxels. One class."""

    kind: Literal["rsn"] = "rsn"
    """Name of the detector."""
    image: RangeImageConfig = RangeImageConfig()
    """Range image and its network."""
    segmentation: SegmentationConfig = SegmentationConfig()
    """Loss of the foreground scores of points; `classification` is the loss of the heatmap."""
    foreground_score: Fraction = 0.15
    """Smallest foreground score of a point that goes on to the 3D part: .15 for vehicles, .10 for pedestrians."""
    encoder_layers: Count = 2
    """Layers of the voxel encoder, each a linear map, layer norm and ReLU."""
    channels: Count = 96
    """Width of the voxel encoder, the sparse blocks and the head."""
    blocks: tuple[Block, ...] = Field(default=("B1", "B0/2", "B1", "B0/2", "B1", "B1"), min_length=1)
    """Sparse blocks in order. B1 is a residual block on the active cells; B0 is a convolution that adds the cells
    around them, then a B1; B0/2 is a B0 whose convolution has stride 2."""
    hidden_head: bool = True
    """A hidden layer before the output layer of the head; the paper has none."""
    sizes: Literal["log", "metres"] = "log"
    """What the head predicts of length, width and height: their logarithms, or, as in the paper, metres."""
    heading_bins: Annotated[int, Field(ge=2)] = 12
    """Sectors of heading: 12 for vehicles, 4 for pedestrians."""
    prior: Prior = 0.1
    """Score that foreground and heatmap start from; it sets the biases of their last layers."""
    sigma_m: Positive = 1.0
    """Sigma of heatmap targets, exp(-d / sigma ** 2) at distance d, metres: 1.0 for vehicles, .5 for pedestrians."""
    box_heat: Fraction = 0.2
    """Boxes are learned at voxels with a heatmap target above this."""
    box_weight: NotNegative = 1.0
    """Weight of the box losses (heading, box code, IoU) in the total."""
    smooth_l1_beta: Positive = 1 / 9
    """Residual above which the smooth L1 loss is linear."""

    @property
    def stride(self) -> int:
        """Cells of the grid per voxel of the output, along each axis with more than one cell."""
        return 2 ** sum(block == "B0/2" for block in self.blocks)

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        if len(classes) != 1:
            return f"data.classes: rsn detects one class, {', '.join(classes)} given; train one model per class"
        for name in ("epsilon", "epsilon_background"):
            numbers = getattr(self.segmentation, name)
            if isinstance(numbers, tuple) and len(numbers) != 1:
                return f"model.segmentation.{name}: {len(numbers)} numbers for 1 class"
        return None
