"""Which tensor of another project is which of ours, and how its numbers have to be rearranged.

PillarNeXt differs from ours, but for names, in its sparse kernels alone, which have no axis along z. OpenPCDet and
CenterPoint differ from ours, and from each other, in more:

| | OpenPCDet | CenterPoint | ours |
|---|---|---|---|
| heading channels | cos, sin | sin, cos of -heading - pi/2 | sin, cos |
| size channels | length, width, height | width, length, height | length, width, height |
| pillar inputs | offsets to the centre x y z | offsets to the centre x y | `model.centre_offsets` |
| sparse kernels | (out, z, y, x, in), with spconv 1 (z, y, x, in, out) | same | (out, z, y, x, in) |
| up-sampling by 1 | transposed convolution | convolution | transposed convolution |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Rearrange = Callable[[Tensor], Tensor]

BRANCHES = {
    "hm": "heatmap",
    "center": "offset",
    "reg": "offset",
    "center_z": "z",
    "height": "z",
    "dim": "size",
    "rot": "heading",
    "iou": "iou",
    "vel": "velocity",
}


@dataclass(frozen=True)
class Rule:
    """Names that match `pattern` become `name`; `rearrange` rearranges the tensor, `note` says how."""

    pattern: str
    name: Callable[[re.Match[str]], str]
    rearrange: Rearrange | None = None
    note: str = ""
    only_misfits: bool = False  # rearrange only where the shape is not ours


def _swap_cos_sin(tensor: Tensor) -> Tensor:
    return tensor[[1, 0]]


def _turn_heading(tensor: Tensor) -> Tensor:
    """Turn sin, cos of t = -h - pi/2 into those of h: sin h = -cos t, cos h = -sin t."""
    return -tensor[[1, 0]]


def _swap_sizes(tensor: Tensor) -> Tensor:
    return tensor[[1, 0, 2]]


def _append_z_offset(weight: Tensor) -> Tensor:
    """Append a column of zeros for the offset to the pillar's centre in z, which the network never saw."""
    return torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1)


def _transpose_kernel(weight: Tensor) -> Tensor:
    """Turn a convolution with stride = kernel = 1 into a transposed one."""
    return weight.transpose(0, 1) if weight.shape[2:] == (1, 1) else weight


def _move_kernel_inside(weight: Tensor) -> Tensor:
    """Move the kernel's axes inside: spconv 1 has (kz, ky, kx, in, out), spconv 2 and we (out, kz, ky, kx, in)."""
    return weight.permute(4, 0, 1, 2, 3) if weight.ndim == 5 and weight.shape[0] <= 3 else weight


def _insert_z(weight: Tensor) -> Tensor:
    """Turn a sparse kernel of two dimensions, (out, ky, kx, in), into one of three, (out, 1, ky, kx, in)."""
    return weight[:, None]


def _read_point_kernel(weight: Tensor) -> Tensor:
    """Read a sparse 1 x 1 kernel, stored (out, 1, 1, in), as spconv 2 computes with it: its numbers are (in, out)."""
    return weight.reshape(weight.shape[-1], weight.shape[0]).T


def _name_block(*words: str) -> Callable[[re.Match[str]], str]:
    """Name a part of a residual block; a pattern's groups are stage, layer (from 1), number and the rest."""

    def name(match: re.Match[str]) -> str:
        stage, layer, number, *rest = match.groups()
        return ".".join([f"sparse.stages.{stage}.blocks.layers.{int(layer) - 1}.{words[0]}{number}", *words[1:], *rest])

    return name


def _name_stage(match: re.Match[str]) -> str:
    # Theirs begin with a padding layer.
    return f"backbone.stages.{match[1]}.{int(match[2]) - 1}.{match[3]}"


def _branch_to(position: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"head.branches.{BRANCHES[match[1]]}.{position}.{match[2]}"


def _expand(template: str) -> Callable[[re.Match[str]], str]:
    return lambda match: match.expand(template)


def _sparse_to(template: str, first_stage: int = 2, first_layer: int = 1) -> Callable[[re.Match[str]], str]:
    """Name a sparse stage: `{stage}` and `{layer}` are the pattern's first two groups, counted from 0."""

    def name(match: re.Match[str]) -> str:
        numbers = [int(text) for text in match.groups() if text.isdigit()]
        stage = numbers[0] - first_stage
        layer = numbers[1] - first_layer if len(numbers) > 1 else 0
        words = [_PARTS.get(text, text) for text in match.groups() if not text.isdigit()]
        return ".".join([template.format(stage=stage, layer=layer), *words])

    return name


_PARTS = {"bn1": "norm1", "bn2": "norm2"}
_LAYOUT = (_move_kernel_inside, "copied; kernel axes moved inside where they come first")
_NAMES = "|".join(BRANCHES)

OPENPCDET: tuple[Rule, ...] = (
    Rule(r"vfe\.pfn_layers\.(\d+)\.(linear|norm)\.(\w+)", _expand(r"encoder.layers.\1.\2.\3")),
    Rule(r"backbone_3d\.conv_input\.0\.(\w+)", _expand(r"encoder.input.layers.0.conv.\1"), *_LAYOUT),
    Rule(r"backbone_3d\.conv_input\.1\.(\w+)", _expand(r"encoder.input.layers.0.norm.\1")),
    Rule(r"backbone_3d\.conv1\.0\.0\.(\w+)", _expand(r"encoder.input.layers.1.conv.\1"), *_LAYOUT),
    Rule(r"backbone_3d\.conv1\.0\.1\.(\w+)", _expand(r"encoder.input.layers.1.norm.\1")),
    Rule(r"backbone_3d\.conv(1)\.(\d)\.(\w+)\.(\w+)", _sparse_to("encoder.input.layers.{layer}", 1, -1), *_LAYOUT),
    Rule(r"backbone_3d\.conv([234])\.0\.0\.(\w+)", _sparse_to("encoder.strided.{stage}.conv"), *_LAYOUT),
    Rule(r"backbone_3d\.conv([234])\.0\.1\.(\w+)", _sparse_to("encoder.strided.{stage}.norm")),
    Rule(
        r"backbone_3d\.conv([234])\.(\d)\.0\.(\w+)",
        _sparse_to("encoder.stages.{stage}.layers.{layer}.conv"),
        *_LAYOUT,
    ),
    Rule(r"backbone_3d\.conv([234])\.(\d)\.1\.(\w+)", _sparse_to("encoder.stages.{stage}.layers.{layer}.norm")),
    Rule(
        r"backbone_3d\.conv([234])\.(\d)\.(\w+)\.(\w+)", _sparse_to("encoder.stages.{stage}.layers.{layer}"), *_LAYOUT
    ),
    Rule(r"backbone_3d\.conv_out\.0\.(\w+)", _expand(r"encoder.output.conv.\1"), *_LAYOUT),
    Rule(r"backbone_3d\.conv_out\.1\.(\w+)", _expand(r"encoder.output.norm.\1")),
    Rule(r"backbone_2d\.blocks\.(\d+)\.(\d+)\.(\w+)", _name_stage),
    Rule(r"backbone_2d\.deblocks\.(\d+)\.(0|1)\.(\w+)", _expand(r"backbone.ups.\1.\2.\3")),
    Rule(r"dense_head\.conv_cls\.(\w+)", _expand(r"head.logit.\1")),
    Rule(r"dense_head\.conv_box\.(\w+)", _expand(r"head.code.\1")),
    Rule(r"dense_head\.conv_dir_cls\.(\w+)", _expand(r"head.direction.\1")),
    Rule(r"dense_head\.shared_conv\.(0|1)\.(\w+)", _expand(r"head.shared.\1.\2")),
    Rule(rf"dense_head\.heads_list\.0\.({_NAMES})\.0\.0\.(\w+)", _branch_to("0")),
    Rule(rf"dense_head\.heads_list\.0\.({_NAMES})\.0\.1\.(\w+)", _branch_to("1")),
    Rule(r"dense_head\.heads_list\.0\.(rot)\.1\.(\w+)", _branch_to("3"), _swap_cos_sin, "cos, sin -> sin, cos"),
    Rule(rf"dense_head\.heads_list\.0\.({_NAMES})\.1\.(\w+)", _branch_to("3")),
)

CENTERPOINT: tuple[Rule, ...] = (
    Rule(
        r"reader\.pfn_layers\.0\.linear\.weight",
        _expand("encoder.layers.0.linear.weight"),
        _append_z_offset,
        "zeros for the offset to the pillar's centre in z",
        only_misfits=True,
    ),
    Rule(r"reader\.pfn_layers\.(\d+)\.(linear|norm)\.(\w+)", _expand(r"encoder.layers.\1.\2.\3")),
    Rule(r"backbone\.conv_input\.0\.(\w+)", _expand(r"encoder.input.layers.0.conv.\1"), *_LAYOUT),
    Rule(r"backbone\.conv_input\.1\.(\w+)", _expand(r"encoder.input.layers.0.norm.\1")),
    Rule(r"backbone\.conv(1)\.(\d)\.(\w+)\.(\w+)", _sparse_to("encoder.input.layers.{layer}", 1, -1), *_LAYOUT),
    Rule(r"backbone\.conv([234])\.0\.(\w+)", _sparse_to("encoder.strided.{stage}.conv"), *_LAYOUT),
    Rule(r"backbone\.conv([234])\.1\.(\w+)", _sparse_to("encoder.strided.{stage}.norm")),
    Rule(
        r"backbone\.conv([234])\.(\d)\.(\w+)\.(\w+)",
        _sparse_to("encoder.stages.{stage}.layers.{layer}", 2, 3),
        *_LAYOUT,
    ),
    Rule(r"backbone\.extra_conv\.0\.(\w+)", _expand(r"encoder.output.conv.\1"), *_LAYOUT),
    Rule(r"backbone\.extra_conv\.1\.(\w+)", _expand(r"encoder.output.norm.\1")),
    Rule(r"neck\.blocks\.(\d+)\.(\d+)\.(\w+)", _name_stage),
    Rule(
        r"neck\.deblocks\.(\d+)\.0\.weight",
        _expand(r"backbone.ups.\1.0.weight"),
        _transpose_kernel,
        "convolution -> transposed where it is 1 x 1",
    ),
    Rule(r"neck\.deblocks\.(\d+)\.1\.(\w+)", _expand(r"backbone.ups.\1.1.\2")),
    Rule(r"bbox_head\.shared_conv\.(0|1)\.(\w+)", _expand(r"head.shared.\1.\2")),
    Rule(
        r"bbox_head\.tasks\.0\.(rot)\.3\.(\w+)",
        _branch_to("3"),
        _turn_heading,
        "sin, cos of -heading - pi/2 -> of heading",
    ),
    Rule(r"bbox_head\.tasks\.0\.(dim)\.3\.(\w+)", _branch_to("3"), _swap_sizes, "width, length -> length, width"),
    Rule(rf"bbox_head\.tasks\.0\.({_NAMES})\.0\.(\w+)", _branch_to("0")),
    Rule(rf"bbox_head\.tasks\.0\.({_NAMES})\.1\.(\w+)", _branch_to("1")),
    Rule(rf"bbox_head\.tasks\.0\.({_NAMES})\.3\.(\w+)", _branch_to("3")),
)

_PLANE = (_insert_z, "copied; an axis along z inserted")
PILLARNEXT: tuple[Rule, ...] = (
    Rule(r"reader\.pfn_layers\.(\d+)\.(linear|norm)\.(\w+)", _expand(r"encoder.layers.\1.\2.\3")),
    Rule(r"backbone\.blocks\.(\d)\.0\.conv\.weight", _expand(r"sparse.stages.\1.strided.conv.weight"), *_PLANE),
    Rule(r"backbone\.blocks\.(\d)\.0\.norm\.(\w+)", _expand(r"sparse.stages.\1.strided.norm.\2")),
    Rule(r"backbone\.blocks\.(\d)\.(\d+)\.block(1)\.conv\.weight", _name_block("conv", "weight"), *_PLANE),
    Rule(r"backbone\.blocks\.(\d)\.(\d+)\.block(1)\.norm\.(\w+)", _name_block("norm")),
    Rule(r"backbone\.blocks\.(\d)\.(\d+)\.conv(2)\.weight", _name_block("conv", "weight"), *_PLANE),
    Rule(r"backbone\.blocks\.(\d)\.(\d+)\.norm(2)\.(\w+)", _name_block("norm")),
    Rule(
        r"backbone\.mapping\.0\.weight",
        _expand("sparse.output.weight"),
        _read_point_kernel,
        "read as (in, out), as spconv reads a 1 x 1 kernel",
    ),
    Rule(r"backbone\.mapping\.1\.(\w+)", _expand(r"sparse.norm.\1")),
    Rule(r"neck\.pre_conv\.block([12])\.conv\.conv\.(\w+)", _expand(r"backbone.stages.0.conv\1.\2")),
    Rule(r"neck\.pre_conv\.block([12])\.norm\.(\w+)", _expand(r"backbone.stages.0.norm\1.\2")),
    Rule(r"neck\.weight", _expand("backbone.stages.1.kernel")),
    Rule(r"neck\.conv1x1\.(\w+)", _expand(r"backbone.stages.1.point.\1")),
    Rule(r"neck\.post_conv\.conv\.conv\.(\w+)", _expand(r"backbone.stages.1.output.\1")),
    Rule(r"neck\.post_conv\.norm\.(\w+)", _expand(r"backbone.stages.1.norm.\1")),
    Rule(r"head\.shared_conv\.(0|1)\.(\w+)", _expand(r"head.shared.\1.\2")),
    Rule(r"head\.tasks\.(\d+)\.deblock\.conv\.conv\.(\w+)", _expand(r"head.groups.\1.up.0.\2")),
    Rule(r"head\.tasks\.(\d+)\.deblock\.norm\.(\w+)", _expand(r"head.groups.\1.up.1.\2")),
    Rule(
        rf"head\.tasks\.(\d+)\.({_NAMES})\.([013])\.(\w+)",
        lambda match: f"head.groups.{match[1]}.branches.{BRANCHES[match[2]]}.{match[3]}.{match[4]}",
    ),
)

PROJECTS = {"OpenPCDet": OPENPCDET, "CenterPoint": CENTERPOINT, "PillarNeXt": PILLARNEXT}
# What a checkpoint holds besides weights: of no use here.
LEFT_OUT = re.compile(r"global_step|n_averaged|.*\.num_batches_tracked|dense_head\.anchors.*")
