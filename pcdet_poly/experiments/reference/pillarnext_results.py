"""Our targets, losses and decoding beside PillarNeXt's, whose head has two groups of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcdet_poly.config.sections.losses import CenterBoxLossConfig, HeatmapFocalConfig
from pcdet_poly.config.sections.output import DecodeConfig, TargetsConfig
from pcdet_poly.experiments.reference.arrays import Arrays, read_grid
from pcdet_poly.experiments.reference.output import Output, compare, compare_angles, compare_array, compare_rows
from pcdet_poly.experiments.reference.pillarnext_parts import BRANCHES, GROUP_OF_CLASS
from pcdet_poly.losses.center.box_loss import center_iou_target, gather_cells, pair_boxes
from pcdet_poly.losses.center.criterion import CenterCriterion
from pcdet_poly.losses.center.iou_regression import aligned_diou
from pcdet_poly.models.decoding.center_decoder import CenterDecoder
from pcdet_poly.structures import CenterMaps, CenterTargets, Grid, GroundTruth, join_groups
from pcdet_poly.targets import CenterAssigner

CLASSES = ((0,), (1, 2))  # of each group
CODE, VELOCITY = [0, 1, 2, 3, 4, 5, 8, 9], [6, 7]  # columns of their box code that are our code and velocity
BOX, SPEED = [0, 1, 2, 3, 4, 5, 8], [6, 7]  # columns of their boxes that are our box and velocity
TARGETS, LOSSES, GRADIENTS, BOXES, SCORES = (
    1e-6,
    1e-5,
    2e-5,
    1e-6,
    1e-6,
)  # allowed; all but scores: of the largest value
IOU = 0.02  # their IoU has a margin of 1 cm
HEATMAP = HeatmapFocalConfig(shared_peaks="per_object")
REGRESSION = CenterBoxLossConfig(
    weight=1, weight_iou=1, weight_velocity=0.2, velocity_mean="objects", iou_regression="aligned"
)


def compare_pillarnext_targets(arrays: Arrays) -> Iterator[Output]:
    """AssignLabel: heatmaps, cells and box codes of each group."""
    assign = CenterAssigner(_read_output_grid(arrays), len(GROUP_OF_CLASS), TargetsConfig(border="truncate"))
    frames = sum(name.endswith(".labels") for name in arrays)
    objects = [_make_objects(arrays[f"gt.{i}.boxes9"], arrays[f"gt.{i}.labels"]) for i in range(frames)]
    targets = assign(objects, vehicle_from_world=torch.eye(3).expand(frames, 3, 3))
    for group, classes in enumerate(CLASSES):
        ours, theirs = targets.select_classes(classes), _read_targets(arrays, group)
        assert ours.velocity is not None
        yield compare_array(arrays, f"target.{group}.hm", ours.heatmap, absolute=TARGETS)
        for name in ("frame", "cell", "label"):
            yield compare(f"target.{group}.{name}", getattr(ours, name), getattr(theirs, name).numpy())
        code, velocity = theirs.code.numpy(), _to_array(theirs.velocity)
        yield compare(f"target.{group}.code", ours.code, code, relative=TARGETS)
        yield compare(f"target.{group}.velocity", ours.velocity, velocity, relative=TARGETS)


def compare_pillarnext_losses(arrays: Arrays) -> Iterator[Output]:
    """Every loss of each group, their sum, its gradients, and a batch in which a group has no objects."""
    grid = _read_output_grid(arrays)
    criterion = CenterCriterion(HEATMAP, REGRESSION, grid)
    leaves = [_read_maps(arrays, group, requires_grad=True) for group in range(2)]
    groups = [_read_targets(arrays, group) for group in range(2)]
    for group, (maps, targets) in enumerate(zip(leaves, groups, strict=True)):
        parts = criterion(maps, targets).parts
        parts["box"] = parts["box"] + parts["velocity"]
        for name in ("heatmap", "box", "iou", "iou_regression"):
            allowed = IOU if name == "iou" else 0
            yield compare_array(arrays, f"loss.{group}.{name}", parts[name], relative=LOSSES, absolute=allowed)
        yield from _compare_objects(arrays, group, maps, targets, grid)
    joined = join_groups(leaves, GROUP_OF_CLASS)
    total = criterion(joined, _join_targets(groups)).total
    yield compare_array(arrays, "total", total, relative=LOSSES, absolute=2 * IOU)
    total.backward()  # type: ignore[no-untyped-call]
    for group, (maps, targets) in enumerate(zip(leaves, groups, strict=True)):
        yield from _compare_gradients(arrays, group, maps, targets)
    empty = groups[1].select_classes(())
    without = replace(empty, heatmap=groups[1].heatmap.clamp(max=float(arrays["no_objects_in_task1.note"])))
    losses = criterion(leaves[1], without).parts
    yield compare_array(arrays, "no_objects_in_task1.heatmap", losses["heatmap"], relative=LOSSES)


def compare_pillarnext_decoding(arrays: Arrays) -> Iterator[Output]:
    """The boxes of every frame one for one, by score."""
    maps = join_groups([_read_maps(arrays, group) for group in range(2)], GROUP_OF_CLASS)
    decoder = CenterDecoder(_read_output_grid(arrays), DecodeConfig.model_validate({"preset": "pillarnext"}))
    for frame, found in enumerate(decoder(maps)):
        name = f"out.{frame}"
        score = arrays[f"{name}.scores"]
        order = np.argsort(-score, kind="stable")  # theirs are listed class by class
        boxes = arrays[f"{name}.boxes9"][order]
        yield from compare_rows(f"{name}.boxes", found.box, boxes[:, BOX], relative=BOXES, angle=6)
        yield compare(f"{name}.velocities", _to_array(found.velocity), boxes[:, SPEED], relative=BOXES)
        yield compare(f"{name}.scores", found.score, score[order], absolute=SCORES)
        yield compare(f"{name}.labels", found.label, arrays[f"{name}.labels"][order])


def _compare_objects(
    arrays: Arrays, group: int, maps: CenterMaps, targets: CenterTargets, grid: Grid
) -> Iterator[Output]:
    """Compare boxes predicted at the objects' cells, and their overlaps with the objects.

    Args:
        arrays: of the file.
        group: of classes.
        maps: of the group.
        targets: of the group.
        grid: cells of the output map.
    """
    code = gather_cells(maps.box_code(), targets.frame, targets.cell).detach()
    box, truth = pair_boxes(code, targets, grid)
    theirs = arrays[f"object.{group}.predicted_box"]
    yield compare(f"object.{group}.predicted_box", box[:, :6], theirs[:, :6], relative=LOSSES)
    yield compare_angles(f"object.{group}.predicted_box, angles", box[:, 6], theirs[:, 6], absolute=LOSSES)
    yield compare_array(
        arrays,
        f"object.{group}.iou_target",
        center_iou_target(code, targets, grid),
        absolute=IOU,
    )
    yield compare_array(arrays, f"object.{group}.diou", aligned_diou(box, truth), absolute=LOSSES)


def _compare_gradients(arrays: Arrays, group: int, maps: CenterMaps, targets: CenterTargets) -> Iterator[Output]:
    """Compare the gradient of the sum of all losses: dense for the heatmap, at objects for the rest.

    Args:
        arrays: of the file.
        group: of classes.
        maps: of the group, after the backward pass.
        targets: of the group.
    """
    yield compare_array(arrays, f"grad.{group}.hm", maps.heatmap.grad, relative=GRADIENTS)
    for name, ours in BRANCHES.items():
        if name != "hm":
            gradient = gather_cells(getattr(maps, ours).grad, targets.frame, targets.cell)
            theirs = arrays[f"grad.{group}.{name}_at_objects"]
            yield compare(f"grad.{group}.{name}_at_objects", gradient, theirs, relative=GRADIENTS)


def _read_output_grid(arrays: Arrays) -> Grid:
    return read_grid(arrays).coarsen(int(arrays["out_size_factor"]))


def _read_maps(arrays: Arrays, group: int, *, requires_grad: bool = False) -> CenterMaps:
    """The maps of one group."""
    maps: dict[str, Any] = {
        ours: torch.from_numpy(arrays[f"map.{group}.{name}"].copy()) for name, ours in BRANCHES.items()
    }
    return CenterMaps(**{name: value.requires_grad_(requires_grad) for name, value in maps.items()})


def _read_targets(arrays: Arrays, group: int) -> CenterTargets:
    """The targets of one group, in order of frame."""
    mask = arrays[f"target.{group}.mask"] > 0
    frame = torch.from_numpy(np.nonzero(mask)[0])
    code, box, cell, label = (
        torch.from_numpy(arrays[f"target.{group}.{name}"][mask]) for name in ("anno_box", "gt_boxes", "ind", "cat")
    )
    heatmap = torch.from_numpy(arrays[f"target.{group}.hm"])
    return CenterTargets(heatmap, frame, cell, label.long(), code[:, CODE], velocity=code[:, VELOCITY], box=box)


def _join_targets(groups: list[CenterTargets]) -> CenterTargets:
    """Join the targets of groups, whose classes are numbered in this order."""
    first, second = groups
    both = {
        name: torch.cat([getattr(each, name) for each in groups])
        for name in ("frame", "cell", "code", "velocity", "box")
    }
    label = torch.cat([first.label, second.label + first.heatmap.shape[1]])
    return CenterTargets(heatmap=torch.cat([first.heatmap, second.heatmap], dim=1), label=label, **both)


def _make_objects(boxes9: np.ndarray, label: np.ndarray) -> GroundTruth:
    """Objects of a frame whose vehicle frame is the world's."""
    count, track = np.ones(len(boxes9), np.int64), np.full(len(boxes9), "")
    return GroundTruth(boxes9[:, BOX], label.astype(np.int64), count, count, track, boxes9[:, SPEED]).to("cpu")


def _to_array(value: Tensor | np.ndarray | None) -> np.ndarray:
    assert value is not None
    return np.asarray(value)
