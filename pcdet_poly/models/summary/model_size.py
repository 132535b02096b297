"""Size of a detector: parameters by part, arithmetic and memory of its dense part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.centerpoint import CenterPointVoxelConfig
from pcdet_poly.config.sections.rsn import RsnConfig
from pcdet_poly.models.layers.bev_backbone import BevBackbone
from pcdet_poly.models.recipe import build_recipe
from pcdet_poly.models.rsn import IMAGE_CHANNELS


@dataclass(frozen=True)
class Summary:
    """The dense part is everything after the encoder (sparse layers included), of RSN its range image network; its
    cost does not depend on the points."""

    model: str
    parameters: dict[str, int]  # trainable, by part
    total_parameters: int
    bev_cells: tuple[int, int]  # along x, y
    dense_gflop: float  # one frame forward; a multiplication and an addition are two
    activation_mib: float  # one frame: what a training step in float32 keeps of the dense part until backward


def summarize(cfg: Config) -> Summary:
    """Count; nothing is computed and no memory is taken for activations."""
    with torch.device("meta"):
        model = build_recipe(cfg).model
        stride = cfg.model.bev_stride if isinstance(cfg.model, CenterPointVoxelConfig) else 1
        nx, ny = (count // stride for count in cfg.grid.shape[:2])
        dense, image = _dense_part(cfg, model, nx, ny)
    parts = {name: _trainable(part) for name, part in model.named_children()}
    gflop, mebibyte = _cost(dense, image)
    return Summary(cfg.model.kind, parts, sum(parts.values()), (nx, ny), gflop, mebibyte)


def _dense_part(cfg: Config, model: nn.Module, nx: int, ny: int) -> tuple[nn.Module, Tensor]:
    """Layers on a dense image, and what one frame gives them."""
    backbone = model.get_submodule("backbone")
    if isinstance(cfg.model, RsnConfig):
        return backbone, torch.empty(cfg.data.sweeps, IMAGE_CHANNELS, cfg.model.image.rows, cfg.model.image.columns)
    assert isinstance(backbone, BevBackbone)
    return nn.Sequential(backbone, model.get_submodule("head")), torch.empty(1, backbone.in_channels, ny, nx)


def _trainable(part: nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)


def _cost(dense: nn.Module, bev: Tensor) -> tuple[float, float]:
    """GFLOP of one forward pass, and MiB of the tensors saved for backward that are not parameters."""
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
        ("dense part, one frame", f"{summary.dense_gflop:.1f} GFLOP"),
        ("kept for backward, one frame, float32", f"{summary.activation_mib:,.0f} MiB"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join([summary.model, *(f"  {name:<{width}}  {value}" for name, value in rows)])
