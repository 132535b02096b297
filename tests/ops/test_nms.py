"""Suppression on every backend against the greedy rule written out, over the IoU matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.iou import iou_bev
from pcdet_poly.ops.nms import circle_nms, nms, nms_per_class
from tests.ops.references import random_boxes


def naive(meets: Tensor, score: Tensor) -> list[int]:
    """Positions kept: by descending score, ties by position, one goes if a kept one `meets` it, (N, N)."""
    kept: list[int] = []
    for i in sorted(range(len(score)), key=lambda i: (-score[i].item(), i)):
        if not any(meets[j, i] for j in kept):
            kept.append(i)
    return kept


def inputs(rng: np.random.Generator, size: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in a crowd, some repeated; scores with ties; labels of two classes."""
    box = random_boxes(rng, size, spread_m=6.0)
    box = box[rng.integers(0, size, size)] if size and rng.random() < 0.5 else box
    score = rng.integers(0, 6, size) / 8 if rng.random() < 0.5 else rng.random(size)
    arrays = box, score.astype(np.float32), rng.integers(0, 2, size)
    return tuple(torch.from_numpy(array).to(device) for array in arrays)


def test_fuzz_one_class(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(1)
    for _ in range(num_trials):
        box, score, _ = inputs(rng, int(rng.integers(0, 20)), device)
        threshold = float(rng.choice([0.0, 0.1, 0.25, 0.7, 1.0]))
        assert nms(box, score, threshold).tolist() == naive(iou_bev(box, box) > threshold, score)


def test_fuzz_per_class_and_frame(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(num_trials):
        box, score, label = inputs(rng, int(rng.integers(0, 20)), device)
        frame = torch.from_numpy(rng.integers(0, 3, len(box))).to(device)
        threshold = torch.tensor([0.1, 0.4], device=device)
        meets = (iou_bev(box, box) > threshold[label]) & (label[:, None] == label)
        assert nms_per_class(box, score, label, (0.1, 0.4)).tolist() == naive(meets, score)
        meets &= frame[:, None] == frame
        assert nms_per_class(box, score, label, [0.1, 0.4], frame=frame).tolist() == naive(meets, score)


def test_fuzz_circle(device: str, num_trials: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(num_trials):
        box, score, label = inputs(rng, int(rng.integers(0, 20)), device)
        box = box.round()  # distances of exactly the radius
        distance = torch.cdist(box[:, :2].double(), box[:, :2].double())
        assert circle_nms(box, score, 2.0).tolist() == naive(distance <= 2.0, score)
        radius = torch.tensor([1.0, 3.0], dtype=torch.float64, device=device)
        meets = (distance <= radius[label]) & (label[:, None] == label)
        assert circle_nms(box, score, (1.0, 3.0), label=label).tolist() == naive(meets, score)


def test_many_boxes(device: str) -> None:
    """More than one word of bits and one tile; chains of suppression that cross them."""
    rng = np.random.default_rng(4)
    box, score, label = inputs(rng, 150, device)
    box[:, :2] *= 3
    meets = (iou_bev(box, box) > 0.05) & (label[:, None] == label)
    kept = nms_per_class(box, score, label, 0.05)
    assert kept.tolist() == naive(meets, score)
    assert 50 < len(kept) < 140


def test_a_suppressed_box_suppresses_nothing(device: str) -> None:
    box = torch.tensor([[0.0, 0, 0, 4, 2, 1, 0], [2.0, 0, 0, 4, 2, 1, 0], [4.0, 0, 0, 4, 2, 1, 0]], device=device)
    score = torch.tensor([0.9, 0.8, 0.7], device=device)
    assert nms(box, score, 0.2).tolist() == [0, 2]
    assert nms(box, score, 1 / 3).tolist() == [0, 1, 2]  # the IoU is float32(1 / 3): equal is not above


def test_ties_go_by_position_and_nan_scores_last(device: str) -> None:
    box = torch.tensor([[0.0, 0, 0, 4, 2, 1, 0]], device=device).repeat(4, 1)
    score = torch.tensor([torch.nan, 0.5, 0.5, 0.2], device=device)
    assert nms(box, score, 0.5).tolist() == [1]
    box[:, 0] = torch.arange(4) * 10
    assert nms(box, score, 0.5).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 0.0, -1.0])
def test_broken_boxes_neither_suppress_nor_go(device: str, value: float) -> None:
    rng = np.random.default_rng(5)
    box, score, _ = inputs(rng, 12, device)
    expected = naive(iou_bev(box, box) > 0.1, score)
    for column in (0, 1, 3, 4) if value != value or abs(value) == torch.inf else (3, 4):
        broken = torch.cat([box, box[:3]])
        broken[12:, column] = value
        kept = nms(broken, torch.cat([score, torch.full((3,), 2.0, device=device)]), 0.1)
        assert kept.tolist() == [12, 13, 14, *expected]


def test_no_boxes_and_one(device: str) -> None:
    box, score = torch.ones(1, 7, device=device), torch.ones(1, device=device)
    assert nms(box[:0], score[:0], 0.5).tolist() == []
    assert circle_nms(box[:0], score[:0], 0.5).tolist() == []
    assert nms_per_class(box[:0], score[:0], score[:0].long(), (0.1, 0.2)).tolist() == []
    assert nms(box, score, 0.5).tolist() == [0]
    assert circle_nms(box, score, 0.5).tolist() == [0]
