"""Detections of a frame -> those that stay: the choices of non-maximum suppression."""

from __future__ import annotations

from typing import assert_never

import torch

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.ops.nms import circle_nms, nms, nms_per_class
from pcdet_poly.structures import Detections


def suppress_boxes(found: Detections, cfg: DecodeConfig) -> Detections:
    """Keep the detections that `cfg.nms` leaves, at most `cfg.max_detections`, by descending score."""
    match cfg.nms:
        case "per_class":
            kept = nms_per_class(found.box, found.score, found.label, cfg.nms_iou)
        case "class_agnostic":
            assert not isinstance(cfg.nms_iou, tuple)
            kept = nms(found.box, found.score, cfg.nms_iou)
        case "circle":
            assert cfg.circle_radius_m is not None
            kept = circle_nms(found.box, found.score, cfg.circle_radius_m, label=found.label)
        case "none":
            kept = torch.argsort(found.score, descending=True, stable=True)
        case _:
            assert_never(cfg.nms)
    return found[kept[: cfg.max_detections]]
