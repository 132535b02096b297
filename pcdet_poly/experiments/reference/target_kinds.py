"""Our targets and the losses made of them beside OpenPCDet's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.config.sections.pointpillars import WAYMO_ANCHORS, PointPillarsConfig
from pcdet_poly.experiments.reference.arrays import Arrays, read_grid
from pcdet_poly.experiments.reference.decoding_kinds import DIRECTION_OFFSET_RAD, read_openpcdet_maps
from pcdet_poly.experiments.reference.output import Output, compare, compare_array
from pcdet_poly.losses.center.box_loss import center_iou_target, gather_cells
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.structures import AnchorTargets, CenterMaps, CenterTargets, Grid, GroundTruth
from pcdet_poly.targets import AnchorAssigner, AnchorGrid, CenterAssigner

CODES, LOSSES, GRADIENTS = 1e-5, 1e-5, 1e-4  # allowed errors; losses and gradients: in units of the largest value
IOU = 0.02  # OpenPCDet's IoU has a margin of 1 cm


def compare_anchor_targets(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's assigner with the anchors of pointpillar_1x and its rounding of equal overlaps."""
    names = [anchor.name for anchor in WAYMO_ANCHORS]
    anchors = AnchorGrid.from_config(read_grid(arrays), PointPillarsConfig(equal_overlaps="float32"), names)
    assign = AnchorAssigner(anchors, direction_bins=2, direction_offset_rad=DIRECTION_OFFSET_RAD)
    targets = assign(_read_objects(arrays))
    yield compare_array(arrays, "labels", _list_labels(targets))
    order = np.lexsort((targets.anchor.numpy(), targets.frame.numpy()))
    anchor_box = anchors.build_boxes(targets.anchor)
    yield compare_array(arrays, "positive.frame", targets.frame[order])
    yield compare_array(arrays, "positive.anchor", targets.anchor[order])
    yield compare_array(arrays, "positive.label", targets.label[order])
    yield compare_array(arrays, "positive.code", targets.code[order], absolute=CODES)
    yield compare_array(arrays, "positive.anchor_box", anchor_box[order], absolute=CODES)
    yield compare_array(arrays, "positive.direction", targets.direction[order])


def compare_center_losses(arrays: Arrays) -> Iterator[Output]:
    """OpenPCDet's centre head: targets, losses but that of the boxes' IoU, and gradients without a part of that."""
    grid = read_grid(arrays)
    targets = CenterAssigner(grid, arrays["map.hm"].shape[1], TargetsConfig(border="pull_in"))(_read_objects(arrays))
    yield from _compare_center_targets(arrays, targets)
    maps = _require_gradients(read_openpcdet_maps(arrays))
    criterion = CenterCriterion(HeatmapFocalConfig(normalizer="peaks"), CenterBoxLossConfig(), grid)
    losses = criterion(maps, targets)
    for name, theirs in (("heatmap", "hm"), ("box", "loc"), ("iou", "iou")):
        reference = arrays[f"loss.{theirs}_loss_head_0"]
        allowed = IOU if name == "iou" else 0
        yield compare(f"loss.{theirs}_loss_head_0", losses.parts[name], reference, relative=LOSSES, absolute=allowed)
    yield from _compare_objects(arrays, maps, targets, grid)
    losses.total.backward()  # type: ignore[no-untyped-call]
    for name, map_of, columns in (("rot", maps.heading, [1, 0]), ("iou", maps.iou, [0])):
        assert map_of is not None
        assert map_of.grad is not None
        mine = gather_cells(map_of.grad, targets.frame, targets.cell)[:, columns]
        yield compare_array(arrays, f"grad.{name}_at_objects", mine, relative=GRADIENTS)
    yield compare_array(arrays, "grad.hm", maps.heatmap.grad, relative=GRADIENTS)


def _compare_center_targets(arrays: Arrays, targets: CenterTargets) -> Iterator[Output]:
    mask = arrays["target.mask"] > 0
    code = targets.code[:, [0, 1, 2, 3, 4, 5, 7, 6]]  # cosine before sine
    yield compare_array(arrays, "target.heatmap", targets.heatmap, absolute=1e-6)
    yield compare("target.mask", torch.bincount(targets.frame, minlength=len(mask)), mask.sum(axis=1))
    yield compare("target.cell", targets.cell, arrays["target.cell"][mask])
    yield compare("target.boxes", code, arrays["target.boxes"][mask], absolute=CODES)


def _compare_objects(arrays: Arrays, maps: CenterMaps, targets: CenterTargets, grid: Grid) -> Iterator[Output]:
    assert maps.iou is not None
    code = gather_cells(maps.box_code(), targets.frame, targets.cell)
    iou = center_iou_target(code, targets, grid)
    yield compare_array(arrays, "object.iou_target", iou, absolute=IOU)


def _require_gradients(maps: CenterMaps) -> CenterMaps:
    values = {field.name: getattr(maps, field.name) for field in fields(maps)}
    return replace(maps, **{name: value.requires_grad_() for name, value in values.items() if value is not None})


def _read_objects(arrays: Arrays) -> list[GroundTruth]:
    """The labelled objects of every frame, from gt_boxes (B, n, 8): box, and class from 1."""
    return [
        _make_objects(torch.from_numpy(rows[:count].copy()))
        for rows, count in zip(arrays["gt_boxes"], arrays["num_boxes"].tolist(), strict=True)
    ]


def _make_objects(rows: Tensor) -> GroundTruth:
    count = np.ones(len(rows), np.int64)
    speed = np.zeros((len(rows), 2), np.float32)
    track = np.full(len(rows), "")
    return GroundTruth(rows[:, :7].numpy(), rows[:, 7].long().numpy() - 1, count, count, track, speed).to("cpu")


def _list_labels(targets: AnchorTargets) -> Tensor:
    """(B, N): -1 for anchors that no loss sees, 0 for background, the class from 1 for positives."""
    labels = torch.where(targets.background, 0, -1)
    labels[targets.frame, targets.anchor] = targets.label + 1
    return labels
