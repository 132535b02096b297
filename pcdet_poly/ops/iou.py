"""Intersection over union of rotated boxes, in bird's-eye view and in 3D."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.cpu import iou as cpu


def iou_bev(box_a: Tensor, box_b: Tensor) -> Tensor:
    """Bird's-eye IoU of every box of (N, 7) with every box of (M, 7) -> (N, M) float32."""
    return torch.from_numpy(cpu.pairwise(_host(box_a), _host(box_b), False))


def iou_3d(box_a: Tensor, box_b: Tensor) -> Tensor:
    """3D IoU of every box of (N, 7) with every box of (M, 7) -> (N, M) float32."""
    return torch.from_numpy(cpu.pairwise(_host(box_a), _host(box_b), True))


def iou_bev_matched(box_a: Tensor, box_b: Tensor) -> Tensor:
    """Bird's-eye IoU of box_a[i] with box_b[i], both (N, 7) -> (N,) float32."""
    return torch.from_numpy(cpu.matched(_host(box_a), _host(box_b), False))


def iou_3d_matched(box_a: Tensor, box_b: Tensor) -> Tensor:
    """3D IoU of box_a[i] with box_b[i], both (N, 7) -> (N,) float32."""
    return torch.from_numpy(cpu.matched(_host(box_a), _host(box_b), True))


def _host(box: Tensor):  # type: ignore[no-untyped-def]
    return box.detach().float().contiguous().numpy()
