"""Boxes that a network found in a frame -> its detections: score, place and non-maximum suppression."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.ops.nms import circle_nms, nms, nms_per_class
from pcdet_poly.structures import Detections


def select_detections(found: Detections, score: Tensor, cfg: DecodeConfig) -> Detections:
    """Select the detections of a frame among the boxes found in it.

    Args:
        found: N boxes, vehicle frame, with the scores that they compete with.
        score: (N,) their classification scores, which `cfg.score` is about.
        cfg: the section `decode` of the settings.

    Returns:
        The detections with score and centre as `cfg` wants them that suppression leaves, by descending score.
    """
    wanted = pass_score(score, cfg)
    if cfg.centre_limits is not None:
        limits = found.box.new_tensor(cfg.centre_limits)
        wanted &= ((found.box[:, :3] >= limits[:3]) & (found.box[:, :3] <= limits[3:])).all(dim=1)
    return suppress_boxes(found[wanted], cfg)


def pass_score(score: Tensor, cfg: DecodeConfig) -> Tensor:
    """Mark the classification scores (...) that are high enough for a box: (...) bool."""
    return score > cfg.score if cfg.score_rule == "above" else score >= cfg.score


def suppress_boxes(found: Detections, cfg: DecodeConfig) -> Detections:
    """Keep the detections that `cfg.nms` leaves, as many as `cfg` has limits for, by descending score."""
    if cfg.nms_top_k is not None and len(found) > cfg.nms_top_k:
        order = torch.argsort(found.score, descending=True, stable=True)
        found = found[take_first(order, found.label, cfg.nms_top_k, cfg)]
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
    return found[take_first(kept, found.label, cfg.max_detections, cfg)]


def take_first(order: Tensor, label: Tensor, count: int, cfg: DecodeConfig) -> Tensor:
    """Take the first `count` of some boxes, or of each class's where `cfg.limits` says so.

    Args:
        order: (M,) int64 positions of boxes.
        label: (N,) int64 class of each box.
        count: how many to take.
        cfg: the section `decode` of the settings.

    Returns:
        Positions in the given order, without those that are too many.
    """
    if cfg.limits == "per_frame" or len(order) <= count:
        return order[:count]
    is_class = nn.functional.one_hot(label[order])  # (M, K)
    place = (is_class.cumsum(dim=0) * is_class).sum(dim=1)  # counted from 1 in each class
    return order[place <= count]
