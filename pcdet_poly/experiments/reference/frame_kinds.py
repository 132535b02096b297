"""Our changes to training frames beside OpenPCDet's and PillarNeXt's: flips, rotation, scale, shift, pasted objects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcdet_poly.data.bank.paste import find_covered_points, find_free_boxes
from pcdet_poly.data.load.augment import (
    FLIP_X,
    FLIP_Y,
    rotation_matrix,
    scaling_matrix,
    transform_boxes,
    transform_points,
    translation_matrix,
)
from pcdet_poly.experiments.reference.arrays import Arrays
from pcdet_poly.experiments.reference.output import Output, compare, compare_angles, compare_array

ERROR = 3e-5  # allowed, metres or radians: four float32 roundings of coordinates of some 100 m, 8e-6 each at most
MARGIN_M = 0.02  # OpenPCDet's test of points in boxes has a margin of 1 cm on both sides, but none in height


def compare_augmentation(arrays: Arrays) -> Iterator[Output]:
    """Each change of geometry alone, then all in their order."""
    rotation, scale = (float(arrays[name]) for name in ("rotation", "scale"))
    changes = {"flip_x": FLIP_X, "flip_y": FLIP_Y, "rotate": rotation_matrix(rotation), "scale": scaling_matrix(scale)}
    chain = changes["scale"] @ changes["rotate"] @ changes["flip_y"] @ changes["flip_x"]
    for name, matrix in {**changes, "chain": chain}.items():
        yield from _compare_change(arrays, name, matrix)


def _compare_change(arrays: Arrays, name: str, matrix: np.ndarray) -> Iterator[Output]:
    """Compare points, boxes, headings and velocities after the change `matrix` (4, 4) of the vehicle frame."""
    boxes, points = arrays["boxes"], arrays["points"]
    moved = transform_boxes(matrix, boxes[:, :7])
    velocity = boxes[:, 7:9] @ matrix[:2, :2].T
    theirs = arrays[f"{name}.boxes"]
    maximum = np.abs(theirs[:, :6]).max()
    yield compare(f"{name}.boxes", moved[:, :6], theirs[:, :6], absolute=ERROR * max(1, maximum / 100))
    yield compare_angles(f"{name}.heading_limited", moved[:, 6], arrays[f"{name}.heading_limited"], absolute=ERROR)
    yield compare(f"{name}.velocity", velocity, theirs[:, 7:9], absolute=ERROR)
    xyz = np.concatenate([transform_points(matrix, points[:, :3]), points[:, 3:]], axis=1)
    yield compare_array(arrays, f"{name}.points", xyz, absolute=ERROR * max(1, maximum / 100))


def compare_pillarnext_augmentation(arrays: Arrays) -> Iterator[Output]:
    """Each change of geometry alone, then all in PillarNeXt's order: flips last, one shift for all axes."""
    rotation, scale, shift_m = (arrays[name].astype(np.float64) for name in ("rotation", "scale", "shift"))
    moves = {
        "rotate": rotation_matrix(float(rotation)),
        "scale": scaling_matrix(float(scale)),
        "translate": translation_matrix(shift_m.reshape(1)),
    }
    chain = FLIP_Y @ FLIP_X @ moves["translate"] @ moves["scale"] @ moves["rotate"]
    boxes = _move_heading_forward(arrays["boxes9"])
    for name, matrix in {**moves, "flip_x": FLIP_X, "flip_y": FLIP_Y, "chain": chain}.items():
        theirs = _move_heading_forward(arrays[f"{name}.boxes9"])
        renamed = {f"{name}.boxes": theirs, f"{name}.heading_limited": theirs[:, 6]}
        yield from _compare_change({**arrays, "boxes": boxes, **renamed}, name, matrix)


def _move_heading_forward(boxes9: np.ndarray) -> np.ndarray:
    """Boxes (N, 9) with their last column, the heading, before the velocity."""
    return boxes9[:, [0, 1, 2, 3, 4, 5, 8, 6, 7]]


def compare_pasting(arrays: Arrays) -> Iterator[Output]:
    """Which drawn objects are pasted, and which points are left, without and with a wider removal."""
    for prefix in ("waymo", "extra"):
        yield from _compare_pasted_frame({name.removeprefix(f"{prefix}."): arrays[name] for name in arrays}, prefix)


def _compare_pasted_frame(arrays: Arrays, prefix: str) -> Iterator[Output]:
    boxes, labels, points = arrays["sampled.boxes"], arrays["sampled.labels"], arrays["points"]
    kept = find_free_boxes(boxes, arrays["gt_boxes"], labels, "both")
    yield compare(f"{prefix}.kept", kept, arrays["kept"])
    clearance_m = arrays["extra_width"].astype(np.float64) + np.array([MARGIN_M, MARGIN_M, 0])
    covered = find_covered_points(points, boxes[kept], clearance_m.tolist())
    pasted = arrays["sampled.points"].copy()
    owner = np.repeat(np.arange(len(boxes)), arrays["sampled.num_points"])
    pasted[:, :3] += boxes[owner, :3]
    yield compare(f"{prefix}.after.boxes", np.concatenate([arrays["gt_boxes"], boxes[kept]]), arrays["after.boxes"])
    yield compare(f"{prefix}.after.labels", np.concatenate([arrays["gt_labels"], labels[kept]]), arrays["after.labels"])
    after = np.concatenate([pasted[kept[owner]], points[~covered]])
    yield compare(f"{prefix}.after.points", after, arrays["after.points"], absolute=ERROR)
