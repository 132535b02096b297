"""ONNX file against PyTorch, through onnxruntime."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.models.recipe import Recipe
from pcdet_poly.optional_libraries import import_onnxruntime
from pcdet_poly.runtime import Detector, FoundBoxes
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
    batch = _make_batch(_draw_points(model, num_points, seed))
    maps = model.eval()(batch)
    wanted = [value for field in fields(maps) if isinstance(value := getattr(maps, field.name), torch.Tensor)]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, make_inputs(batch, model))
    pairs = zip(wanted, found, strict=True)
    return max(float(np.abs(w.numpy() - f).max() / max(float(w.abs().max()), 1e-6)) for w, f in pairs)


@torch.no_grad()
def measure_lost_boxes(recipe: Recipe, path: Path, num_points: int = 20_000, seed: int = 0) -> float:
    """Measure how many boxes a file of the whole detector finds elsewhere than PyTorch, on random points.

    Args:
        recipe: of the detector that was exported, on the CPU.
        path: its ONNX file.
        num_points: points of the frame.
        seed: of the points.

    Returns:
        The share of PyTorch's best boxes, before suppression, for which the file has none of their class within
        1 cm, .01 radians and .001 of their score.
    """
    model, decode = recipe.model, recipe.decode
    assert isinstance(model, PillarDetector)
    assert isinstance(decode, CenterDecoder | AnchorDecoder)
    points = _draw_points(model, num_points, seed)
    found, _ = Detector(path).find_candidates(points.numpy())
    points[:, 3].tanh_()
    box, label, ranked, *_ = (values[0].numpy() for values in decode.find_boxes(model(_make_batch(points))))
    wanted = _take_best(FoundBoxes(box, label, ranked), 500)
    return 1 - float(match_boxes(wanted, _take_best(found, 1000)).mean()) if len(wanted) else 0.0


def match_boxes(wanted: FoundBoxes, found: FoundBoxes, metres: float = 0.01, score: float = 0.001) -> np.ndarray:
    """Mark the boxes that have a partner among others.

    Args:
        wanted: N boxes.
        found: M boxes.
        metres: how near a partner's centre and sizes are; its heading, in radians, is as near.
        score: how near its score is.

    Returns:
        (N,) bool.
    """
    apart = np.abs(wanted.box[:, None] - found.box[None])  # (N, M, 7)
    turn = 2 * np.pi
    apart[..., 6] = np.abs((apart[..., 6] + np.pi) % turn - np.pi)
    near = (apart <= metres).all(axis=2) & (np.abs(wanted.score[:, None] - found.score) <= score)
    matched: np.ndarray = (near & (wanted.label[:, None] == found.label)).any(axis=1)
    return matched


def _take_best(found: FoundBoxes, count: int) -> FoundBoxes:
    """Take the boxes with the highest scores, without those that are no candidates at all."""
    best = np.argsort(-found.score, kind="stable")[:count]
    return found[best[found.score[best] > 0]]


def _make_batch(points: torch.Tensor) -> Batch:
    return Batch(points, torch.zeros(len(points), dtype=torch.int64), (GroundTruth.empty().to("cpu"),), ("random/0",))


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
