"""Settings of CenterPoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pcdet_poly.config.sections.backbone import AsppConfig, BackboneConfig, SparseBackboneConfig
from pcdet_poly.config.sections.data import GridConfig
from pcdet_poly.config.sections.detector import DetectorSection
from pcdet_poly.config.sections.pillars import PillarsConfig
from pcdet_poly.config.sections.section import Count, Names, Section, parse_number


class CenterHeadConfig(Section):
    """Settings that every model with a centre head has."""

    head_width: Count = 64
    """Width of the head's shared convolution and of its branches."""
    prior: Annotated[float, BeforeValidator(parse_number), Field(gt=0, lt=1)] = 0.1
    """Score that the heatmap starts from; it sets the bias of its last layer."""
    iou_branch: bool = False
    """Predict each box's IoU with its object, by which `decode.iou_weight` changes scores."""
    heading: Literal["sin_cos", "bins"] = "sin_cos"
    """Heading as its sine and cosine, or as one of `heading_bins` sectors and a residual."""
    heading_bins: Annotated[int, Field(ge=2)] = 12
    """For `heading: bins`: number of sectors; sector 0 is centred on heading 0."""
    velocity: bool = False
    """Predict each box's velocity, m/s; it is learned where labels have a speed."""
    groups: Annotated[tuple[Names, ...], Field(min_length=1)] | None = None
    """Groups of classes that have branches, and so boxes, of their own: lists of names of data.classes. Each group's
    losses are divided by its own number of objects. null: all classes share one set of branches."""
    head_up: Count = 1
    """Factor by which each group enlarges the head's shared features, before its branches."""
    head_start: Literal["kaiming", "torch"] = "kaiming"
    """First weights of the head's branches: Kaiming's normal distribution, or torch's default (PillarNeXt)."""
    aspp: AsppConfig | None = None
    """Neck of one resolution, in place of `backbone`. null: `backbone`."""

    @property
    def num_heading_bins(self) -> int:
        """Sectors of the heading output; 0: sine and cosine."""
        return self.heading_bins if self.heading == "bins" else 0

    def explain_wrong_groups(self, classes: Sequence[str]) -> str | None:
        """Say why `groups` is no partition of `classes`, or return None where it is, or is not given."""
        named = sorted(name for group in self.groups or () for name in group)
        if self.groups is None or (named == sorted(classes) and all(self.groups)):
            return None
        return f"model.groups: {[list(group) for group in self.groups]}; name each of {', '.join(classes)} once"

    def list_group_numbers(self, classes: Sequence[str]) -> tuple[int, ...] | None:
        """Return the group of each class, counted from 0; None for one group."""
        if self.groups is None:
            return None
        return tuple(next(i for i, group in enumerate(self.groups) if name in group) for name in classes)

    @model_validator(mode="after")
    def _check_bins_are_used(self) -> Self:
        if self.heading != "bins" and self.heading_bins != type(self).model_fields["heading_bins"].default:
            raise ValueError(f"heading_bins = {self.heading_bins}: heading: {self.heading} has none; leave it out")
        return self


class CenterPointPillarConfig(PillarsConfig, CenterHeadConfig):
    """CenterPoint on pillars: pillar encoder, bird's-eye backbone, centre head."""

    kind: Literal["centerpoint_pillar"] = "centerpoint_pillar"
    """Name of the detector."""
    sparse: SparseBackboneConfig | None = None
    """Sparse stages between pillars and the dense layers. null: pillars become a dense image at once."""
    sparse_backend: Literal["torch", "spconv", "spconv_triton"] = "torch"
    """Sparse convolutions on a GPU: our own, or the named package's. A CPU always runs our own; weights fit all."""

    @property
    def bev_stride(self) -> int:
        """Pillars per cell of the image that the dense layers see."""
        return self.sparse.total_stride if self.sparse else 1

    @property
    def output_stride(self) -> int:
        """Pillars per cell of the output map."""
        return find_output_stride(self, self.bev_stride, self.backbone)

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        num_x, num_y, _ = grid.shape
        if num_x % self.bev_stride or num_y % self.bev_stride:
            return f"grid: {num_x} x {num_y} cells are not a multiple of the sparse stages' stride {self.bev_stride}"
        return explain_dense_misfit(self, self.bev_stride, self.backbone, (num_x, num_y), classes)

    @model_validator(mode="after")
    def _check_backend_is_used(self) -> Self:
        if self.sparse is None and self.sparse_backend != "torch":
            raise ValueError(
                f"sparse_backend = {self.sparse_backend}: without `sparse` nothing is sparse; leave it out"
            )
        return self


def find_output_stride(head: CenterHeadConfig, bev_stride: int, backbone: BackboneConfig) -> int:
    """Find how many cells of the grid a cell of the output map is long.

    Args:
        head: settings of the model's head and neck.
        bev_stride: cells of the grid per cell of the image that the dense layers see.
        backbone: settings of the dense layers, unless the head has an ASPP neck.
    """
    return bev_stride * (1 if head.aspp else backbone.output_stride) // head.head_up


def explain_dense_misfit(
    head: CenterHeadConfig, bev_stride: int, backbone: BackboneConfig, shape: tuple[int, int], classes: Sequence[str]
) -> str | None:
    """Say why the dense layers cannot work, or return None where they can.

    Args:
        head: settings of the model's head and neck.
        bev_stride: cells of the grid per cell of the image that the dense layers see.
        backbone: settings of the dense layers, unless the head has an ASPP neck.
        shape: cells of the grid along x and y.
        classes: of the detector.
    """
    if head.aspp and backbone != type(head).model_fields["backbone"].default:
        return "model.backbone: model.aspp takes its place; leave one of them out"
    stride = bev_stride * (1 if head.aspp else backbone.output_stride)
    if stride % head.head_up:
        return f"model.head_up = {head.head_up}: cells of the head's input are {stride} of the grid's; use a divisor"
    misfit = None if head.aspp else backbone.explain_misfit(shape[0] // bev_stride, shape[1] // bev_stride)
    return misfit or head.explain_wrong_groups(classes)


class CenterPointVoxelConfig(CenterHeadConfig, DetectorSection):
    """CenterPoint on voxels: mean of points, sparse backbone, bird's-eye backbone, centre head."""

    kind: Literal["centerpoint_voxel"] = "centerpoint_voxel"
    """Name of the detector."""
    max_points: Count | None = None
    """How many of a voxel's points its mean is over, the first in order: OpenPCDet's MeanVFE takes 5; null for all."""
    residual: bool = False
    """Build the sparse layers as residual blocks of two."""
    channels: Annotated[tuple[Count, ...], Field(min_length=2)] = (16, 32, 64, 64)
    """Width of each sparse stage; all stages but the first halve the resolution."""
    layers: tuple[Count, ...] = (1, 2, 2, 2)
    """Submanifold convolutions of each stage after its strided one; with `residual`, residual blocks."""
    out_channels: Count = 128
    """Width of a cell of the sparse output; the cells of a column are concatenated to the bird's-eye image."""
    sparse_backend: Literal["torch", "spconv", "spconv_triton"] = "torch"
    """Sparse convolutions on a GPU: our own, or the named package's. A CPU always runs our own; weights fit all."""
    backbone: BackboneConfig = BackboneConfig(
        layers=(5, 5), strides=(1, 2), channels=(128, 256), up_strides=(1, 2), up_channels=(256, 256)
    )
    """Bird's-eye backbone and neck."""

    @property
    def bev_stride(self) -> int:
        """Voxels per cell of the bird's-eye image."""
        stride: int = 2 ** (len(self.channels) - 1)
        return stride

    @property
    def output_stride(self) -> int:
        """Voxels per cell of the output map."""
        return find_output_stride(self, self.bev_stride, self.backbone)

    def count_bev_layers(self, num_z: int) -> int:
        """Layers of cells that are left of `num_z` layers of voxels, and concatenated; none or fewer: too few."""
        layers = num_z + 1  # the public networks' extra layer
        for _ in self.channels[1:-1]:
            layers = (layers - 1) // 2 + 1
        return ((layers - 3) // 2 + 1 - 3) // 2 + 1  # the last stage and the output are not padded along z

    def explain_misfit(self, grid: GridConfig, classes: Sequence[str]) -> str | None:
        """Say why this detector cannot work on `grid` with `classes`, or return None where it can."""
        num_x, num_y, num_z = grid.shape
        if num_x % self.bev_stride or num_y % self.bev_stride:
            return f"grid: {num_x} x {num_y} cells are not a multiple of the sparse backbone's stride {self.bev_stride}"
        if self.count_bev_layers(num_z) < 1:
            return f"grid: {num_z} cells along z are too few for {len(self.channels)} sparse stages; use a smaller cell"
        return explain_dense_misfit(self, self.bev_stride, self.backbone, (num_x, num_y), classes)

    @model_validator(mode="after")
    def _check_stages_agree(self) -> Self:
        if len(self.channels) != len(self.layers):
            raise ValueError(f"channels {self.channels} and layers {self.layers} must have one length")
        return self
