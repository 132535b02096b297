"""A detector's dense part, from bird's-eye image to maps: as an ONNX file, and computed by another library."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from torch import Tensor, nn

from pcdet_poly.files import atomic_path
from pcdet_poly.models.centerpoint_voxel import CenterPointVoxel
from pcdet_poly.models.export.network import OUTPUT_OPSET, silence_exporter
from pcdet_poly.models.fuse import fuse_for_inference
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.runtime.checksum import add_checksum
from pcdet_poly.structures import Batch, GroundTruth

Compute = Callable[[np.ndarray], list[np.ndarray]]  # image (1, C, H, W) float32 -> maps, in the order of their fields


def has_dense_part(model: nn.Module) -> TypeGuard[PillarDetector | CenterPointVoxel]:
    """Return whether a detector's maps come from a bird's-eye image."""
    return isinstance(model, PillarDetector | CenterPointVoxel)


@torch.no_grad()
def make_image(model: PillarDetector | CenterPointVoxel, points: Tensor | None = None) -> Tensor:
    """Make the bird's-eye image (1, C, H, W) float32 of a frame.

    Args:
        model: the detector, on the CPU, in evaluation mode.
        points: (P, C) as in Batch.points; without them, one point in the middle.
    """
    if points is None:
        middle = torch.tensor([model.grid.lower, model.grid.upper]).mean(dim=0)
        points = torch.cat([middle, middle.new_zeros(model.point_channels - 3)])[None]
    frame = torch.zeros(len(points), dtype=torch.int64)
    return model.make_image(Batch(points, frame, (GroundTruth.empty().to("cpu"),), ("frame/0",))).contiguous()


def export_dense_part(model: PillarDetector | CenterPointVoxel, path: Path, *, checksum: bool = True) -> None:
    """Write the dense part with its norms folded, for one frame, whole or not at all.

    Args:
        model: the detector, which stays as it was.
        path: of the ONNX file.
        checksum: whether the file gets one, by which it is checked when it is opened; one that is changed further
            gets it then.
    """
    part, image = _DensePart(model).eval(), make_image(model)
    with atomic_path(path) as temporary, silence_exporter():
        torch.onnx.export(
            part,
            (image,),
            temporary,
            input_names=["image"],
            output_names=list_map_fields(_make_small_maps(model)),
            opset_version=OUTPUT_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        if checksum:
            add_checksum(temporary)


def replace_dense_part(model: PillarDetector | CenterPointVoxel, compute: Compute) -> nn.Module:
    """Copy a detector, with the dense part computed by `compute`; the copy is for inference on the CPU."""
    foreign = _ForeignPart(_make_small_maps(model), compute)
    # What is in the memo is not copied: neither the weights that are left out, nor a session, which cannot be.
    copy = deepcopy(model, {id(model.backbone): nn.Identity(), id(model.head): foreign})
    copy.channels_last = False
    return copy.eval()


def list_map_fields(maps: Any) -> list[str]:
    """List the fields of a head's maps that are tensors."""
    return [field.name for field in fields(maps) if isinstance(getattr(maps, field.name), Tensor)]


class _DensePart(nn.Module):
    def __init__(self, model: PillarDetector | CenterPointVoxel) -> None:
        super().__init__()
        fused = cast(PillarDetector, fuse_for_inference(model))
        self.backbone, self.head = fused.backbone, fused.head

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.head(self.backbone(image))
        return tuple(getattr(maps, name) for name in list_map_fields(maps))


class _ForeignPart(nn.Module):
    """Images (B, C, H, W) -> maps, frame by frame, by another library than torch."""

    def __init__(self, maps: Any, compute: Compute) -> None:
        super().__init__()
        self.maps, self.names, self.compute = maps, list_map_fields(maps), compute

    def forward(self, image: Tensor) -> Any:
        frames = [self.compute(frame[None].contiguous().numpy()) for frame in image.float()]
        maps = (torch.from_numpy(np.concatenate(values)) for values in zip(*frames, strict=True))
        return replace(self.maps, **dict(zip(self.names, maps, strict=True)))


@torch.no_grad()
def _make_small_maps(model: PillarDetector | CenterPointVoxel) -> Any:
    return deepcopy(model.head).eval()(torch.zeros(1, model.backbone.out_channels, 1, 1))
