"""Size of a detector: parameters by part, arithmetic and memory of its dense part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterPointPillarConfig, CenterPointVoxelConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.layers.pillarnext.aspp_neck import AsppNeck
from pcdet_poly.models.layers.rsn.range_net import RsnRangeNet
from pcdet_poly.models.recipe import build_recipe
from pcdet_poly.models.rsn import IMAGE_CHANNELS


@dataclass(frozen=True)
class Summary:
    """Size of a detector, and the cost of its dense part, which does not depend on the points.

    The dense part is everything after the encoder, whose sparse layers do not count; for RSN, it is the network on
    the range image. A user's own detector has a dense part where its `backbone` is a BevBackbone.
    """

    model: str
    parameters: dict[str, int]  # trainable, by part
    total_parameters: int
    bev_cells: tuple[int, int]  # along x, y
    dense_gflop: float | None  # one frame forward; a multiplication and an addition are two
    activation_mib: float | None  # one frame: what a training step in float32 keeps of the dense part until backward


def summarize(cfg: Config) -> Summary:
    """Count parameters, arithmetic and memory; nothing is computed, and activations take no memory."""
    with torch.device("meta"):
        model = build_recipe(cfg).model
        stride = 1
        if isinstance(cfg.model, CenterPointVoxelConfig | CenterPointPillarConfig):
            stride = cfg.model.bev_stride
        nx, ny = (count // stride for count in cfg.grid.shape[:2])
        dense = _find_dense_part(cfg, model, nx, ny)
    parts = {name: _count_trainable(part) for name, part in model.named_children()}
    gflop, mebibyte = _measure_cost(*dense) if dense else (None, None)
    return Summary(cfg.model.kind, parts, sum(parts.values()), (nx, ny), gflop, mebibyte)


def _find_dense_part(cfg: Config, model: nn.Module, nx: int, ny: int) -> tuple[nn.Module, Tensor] | None:
    """Return the layers on a dense image, and what one frame gives them; None where it is not known which they are."""
    backbone = getattr(model, "backbone", None)
    if isinstance(cfg.model, RsnConfig) and isinstance(backbone, RsnRangeNet):
        return backbone, torch.empty(cfg.data.sweeps, IMAGE_CHANNELS, cfg.model.image.rows, cfg.model.image.columns)
    if isinstance(backbone, BevBackbone | AsppNeck):
        return nn.Sequential(backbone, model.get_submodule("head")), torch.empty(1, backbone.in_channels, ny, nx)
    return None


def _count_trainable(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)


def _measure_cost(dense: nn.Module, bev: Tensor) -> tuple[float, float]:
    """Measure one forward pass: GFLOP, and MiB of the tensors saved for backward that are not parameters."""
    own = {id(parameter) for parameter in dense.parameters()}
    saved: dict[int, Tensor] = {}  # by storage; keeping the tensor keeps its address from being used again

    def note(tensor: Tensor) -> Tensor:
        if id(tensor) not in own:
            saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), FlopCounterMode(display=False) as flops:
        maps = dense(bev)
    del maps
    size = sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
    return flops.get_total_flops() / 1e9, size / 2**20


def format_summary(summary: Summary) -> str:
    """Return one line per part and measure."""
    rows = [(name, f"{number:,}") for name, number in summary.parameters.items()]
    rows += [
        ("parameters in all", f"{summary.total_parameters:,}"),
        ("bird's-eye cells", " x ".join(map(str, summary.bev_cells))),
    ]
    if summary.dense_gflop is not None:
        rows += [("dense part, one frame", f"{summary.dense_gflop:.1f} GFLOP")]
    if summary.activation_mib is not None:
        rows += [("kept for backward, one frame, float32", f"{summary.activation_mib:,.0f} MiB")]
    width = max(len(name) for name, _ in rows)
    return "\n".join([summary.model, *(f"  {name:<{width}}  {value}" for name, value in rows)])
