"""The assigner against the full table of overlaps, written out with loops in numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pcdet_poly.config.sections.pointpillars import PointPillarsConfig
from pcdet_poly.ops.anchor_box_coder import encode_anchor_boxes, find_sector
from pcdet_poly.structures import AnchorTargets, Grid, GroundTruth
from pcdet_poly.targets import AnchorAssigner, AnchorGrid
from tests.tolerances import FLOAT64_CANCELLED

from .anchor_cases import lattice, random_truth, truth

OFFSET = math.pi / 4


def assigner(anchors: AnchorGrid) -> AnchorAssigner:
    return AnchorAssigner(anchors, direction_bins=2, direction_offset_rad=OFFSET)


def extent(box: np.ndarray) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a box turned to the nearest axis."""
    x, y, _, length, width, _, heading = (float(value) for value in box)
    if abs(math.sin(heading)) > abs(math.cos(heading)):
        length, width = width, length
    return x - length / 2, y - width / 2, x + length / 2, y + width / 2


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = extent(a), extent(b)
    both = max(min(ax1, bx1) - max(ax0, bx0), 0) * max(min(ay1, by1) - max(ay0, by0), 0)
    return both / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - both)


@dataclass
class Expected:
    """What a frame's anchors should be."""

    owner: dict[int, int] = field(default_factory=dict)  # positive anchor -> object
    ignored: set[int] = field(default_factory=set)


def naive(anchors: AnchorGrid, rows: GroundTruth) -> Expected:
    """The rule of the docstring over the whole table of anchors x objects, class by class."""
    expected = Expected()
    table = anchors.build_boxes(torch.arange(len(anchors))).double().numpy()
    class_of = np.arange(len(anchors)) % anchors.per_cell // len(anchors.yaws_rad)
    box, label = rows.box.double().numpy(), rows.label.numpy()
    for k, thresholds in enumerate(anchors.classes):
        own, objects = np.flatnonzero(class_of == k), np.flatnonzero(label == k)
        if not len(objects):
            continue
        iou = np.array([[overlap(table[a], box[m]) for m in objects] for a in own])
        best = iou.max(1)
        forced = ((iou >= iou.max(0) - 1e-6) & (iou > 1e-6)).any(1)
        for a, overlaps, highest, is_forced in zip(own.tolist(), iou, best, forced, strict=True):
            if is_forced or highest >= thresholds.matched:
                expected.owner[a] = int(objects[(overlaps >= highest - 1e-6).argmax()])
            elif highest >= thresholds.unmatched:
                expected.ignored.add(a)
    return expected


def check(targets: AnchorTargets, frame: int, anchors: AnchorGrid, rows: GroundTruth) -> Expected:
    """One frame of `targets` is what the naive rule says."""
    expected = naive(anchors, rows)
    here = (targets.frame == frame).nonzero().squeeze(1)
    positive = targets.anchor[here].tolist()
    assert len(set(positive)) == len(positive)
    ignored = set((~targets.background[frame]).nonzero().squeeze(1).tolist()) - set(positive)
    assert set(positive) == set(expected.owner)
    assert ignored == expected.ignored
    owner = torch.tensor([expected.owner[a] for a in positive], dtype=torch.int64)
    box = rows.box[owner]
    assert torch.equal(targets.label[here], rows.label[owner])
    torch.testing.assert_close(targets.code[here], encode_anchor_boxes(box, anchors.build_boxes(targets.anchor[here])))
    assert torch.equal(targets.direction[here], find_sector(box[:, 6], 2, OFFSET))
    return expected


@pytest.mark.parametrize("anchors_at", ["corners", "centres"])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_full_table_on_random_boxes(seed: int, anchors_at: str) -> None:
    rng = np.random.default_rng(seed)
    anchors = lattice(anchors_at=anchors_at, yaws_rad=(0.0, 1.57) if seed % 2 else (0.3, 1.2, -1.0))
    frames = [random_truth(rng, count) for count in (12, 0, 5)]
    targets = assigner(anchors)(frames)
    assert targets.background.shape == (3, len(anchors))
    seen = [check(targets, number, anchors, rows) for number, rows in enumerate(frames)]
    assert sum(len(each.owner) for each in seen) > 20
    assert sum(len(each.ignored) for each in seen) > 5


ADVERSARIAL = {
    "midway between four anchors, which all tie": ([[0.25, 0.375, 0, 4, 1.5, 1.6, 0]], [0]),
    "on an anchor": ([[0, 0, 0, 4, 1.5, 1.6, 0]], [0]),
    "twice the same box: the first owns all": ([[1, 1, 0, 4, 1.5, 1.6, 0], [1, 1, 0.5, 4, 1.5, 1.6, 0.1]], [0, 0]),
    "mirror images that share the anchor between them": (
        [[-1, 0.1, 0, 4, 1.5, 1.6, 0], [1, 0.1, 0, 4, 1.5, 1.6, 0]],
        [0, 0],
    ),
    "a bus that no anchor fits": ([[0, 0, 0, 12, 3, 3, 0.1]], [0]),
    "larger than the grid": ([[0, 0, 0, 60, 60, 3, 0.1]], [0]),
    "a speck": ([[0.1, 0.1, 0, 0.01, 0.01, 0.01, 0]], [1]),
    "one inside another": ([[0, 0, 0, 4, 1.5, 1.6, 0], [0.2, 0, 0, 1, 0.9, 1.7, 0]], [0, 0]),
    "both classes in one place": ([[0, 0, 0, 1, 0.9, 1.7, 0], [0, 0, 0, 1, 0.9, 1.7, 0]], [0, 1]),
    "touching an anchor only with an edge": ([[20, 0, 0, 4, 1.5, 1.6, 0]], [0]),
    "beyond the corner": ([[8.4, 6.2, 0, 4, 1.5, 1.6, 0]], [0]),
    "nearly along the diagonal": (
        [[0, 0, 0, 4, 1.5, 1.6, math.pi / 4 - 1e-3], [3, 3, 0, 4, 1.5, 1.6, math.pi / 4 + 1e-3]],
        [0, 0],
    ),
    "many turns": ([[0, 0, 0, 4, 1.5, 1.6, 31.0]], [0]),
}


@pytest.mark.parametrize(("box", "label"), ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize("anchors_at", ["corners", "centres"])
def test_equals_the_full_table_on_difficult_boxes(box: list[list[float]], label: list[int], anchors_at: str) -> None:
    anchors = lattice(anchors_at=anchors_at)
    rows = truth(box, label)
    check(assigner(anchors)([rows]), 0, anchors, rows)


def test_every_object_gets_its_best_anchors_ties_included() -> None:
    anchors = lattice(anchors_at="centres", yaws_rad=(0.0,))
    rows = truth([[0, 0, 0, 12, 3, 3, 0]], [0])  # 0 is an edge between cells: the inner anchors are all as good
    targets = assigner(anchors)([rows])
    iou = [
        overlap(each, rows.box[0].double().numpy()) for each in anchors.build_boxes(torch.arange(len(anchors))).double()
    ]
    ties = np.flatnonzero(np.abs(np.array(iou) - max(iou)) < FLOAT64_CANCELLED)
    assert max(iou) < 0.4  # below both thresholds
    assert sorted(targets.anchor.tolist()) == ties.tolist()
    assert len(ties) >= 4


def test_no_objects_is_all_background() -> None:
    anchors = lattice()
    targets = assigner(anchors)([truth([], []), truth([], [])])
    assert targets.background.all()
    assert [len(each) for each in (targets.frame, targets.anchor, targets.label, targets.direction)] == [0] * 4
    assert targets.code.shape == (0, 7)


@pytest.mark.parametrize(("column", "value"), [(3, 0.0), (4, -1.0), (5, math.nan), (0, math.nan), (6, math.inf)])
def test_boxes_that_are_none_are_left_out(column: int, value: float) -> None:
    box = np.array([[0, 0, 0, 4, 1.5, 1.6, 0]], np.float32)
    assert not assigner(lattice())([truth(box, [0])]).background.all()
    box[0, column] = value
    assert assigner(lattice())([truth(box, [0])]).background.all()


def test_positives_on_the_full_waymo_grid_lie_on_their_objects() -> None:
    """1.3 million anchors x 200 objects."""
    cfg = PointPillarsConfig()
    grid = Grid((-74.88, -74.88, -2.0), (74.88, 74.88, 4.0), (0.32, 0.32, 6.0))
    anchors = AnchorGrid.from_config(grid, cfg, ("VEHICLE", "PEDESTRIAN", "CYCLIST"))
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 200)
    size = np.array([cfg.anchors[k].size for k in label]) * rng.uniform(0.8, 1.3, (200, 3))
    centre = rng.uniform([-74, -74, 0], [74, 74, 2], (200, 3))
    rows = truth(np.concatenate([centre, size, rng.uniform(-3, 3, (200, 1))], 1), label)
    targets = assigner(anchors)([rows])
    per_object = np.zeros(200, int)
    box, objects = anchors.build_boxes(targets.anchor).double().numpy(), rows.box.double().numpy()
    for each, k in zip(box, targets.label.tolist(), strict=True):
        iou = [overlap(each, other) if own == k else -1 for other, own in zip(objects, label, strict=True)]
        per_object[int(np.argmax(iou))] += 1
        assert max(iou) > 0
    assert (per_object > 0).mean() > 0.95  # all but those whose best anchors fit a neighbour better
    assert 0.99 < targets.background.float().mean() < 1
