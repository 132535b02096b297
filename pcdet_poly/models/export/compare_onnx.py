"""ONNX file against PyTorch, through onnxruntime."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.models.export.libraries import import_onnxruntime
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.structures import Batch, GroundTruth


@torch.no_grad()
def measure_largest_difference(model: PillarDetector, path: Path, num_points: int = 20_000, seed: int = 0) -> float:
    """Measure how far onnxruntime's maps are from PyTorch's, on random points.

    Args:
        model: the detector that was exported.
        path: its ONNX file.
        num_points: points of the frame.
        seed: of the points.

    Returns:
        The largest difference of a map, as a share of that map's largest absolute value.
    """
    onnxruntime = import_onnxruntime()
    points = _draw_points(model, num_points, seed)
    batch = Batch(points, torch.zeros(len(points), dtype=torch.int64), (GroundTruth.empty().to("cpu"),), ("random/0",))
    maps = model.eval()(batch)
    wanted = [value for field in fields(maps) if isinstance(value := getattr(maps, field.name), torch.Tensor)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, make_inputs(batch, model))
    pairs = zip(wanted, found, strict=True)
    return max(float(np.abs(w.numpy() - f).max() / max(float(w.abs().max()), 1e-6)) for w, f in pairs)


def make_inputs(batch: Batch, model: PillarDetector) -> dict[str, np.ndarray]:
    """Make the inputs of the ONNX file from a batch of one frame."""
    voxels = model.encoder.group_points(batch.points, batch.frame_of_point, model.grid, 1)
    inside = voxels.voxel_of_point >= 0
    return {
        "points": batch.points[inside].numpy(),
        "pillar_of_point": voxels.voxel_of_point[inside].numpy(),
        "cell_of_pillar": voxels.cell.numpy(),
    }


def _draw_points(model: PillarDetector, num_points: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(num_points, model.point_channels, generator=generator)
    lower, upper = torch.tensor(model.grid.lower), torch.tensor(model.grid.upper)
    points[:, :3] = lower + points[:, :3] * (upper - lower)
    return points
