"""Decoding anchors against loops over anchors, with rotated IoU by shapely; and as the inverse of the targets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from shapely import affinity, geometry

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.config.sections.pointpillars import WAYMO_ANCHORS, PointPillarsConfig
from pcdet_poly.models.decoding.anchor_decoder import AnchorDecoder
from pcdet_poly.structures import AnchorMaps, AnchorTargets, Grid, GroundTruth
from pcdet_poly.targets import AnchorAssigner, AnchorGrid
from tests.tolerances import COORDINATE_M, FLOAT32_BELOW_16, FLOAT32_SUM

GRID = Grid((-8.0, -6.0, -2.0), (8.0, 6.0, 4.0), (0.5, 0.75, 6.0))  # 32 x 16 cells
NAMES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
ANCHORS = AnchorGrid.from_config(GRID, PointPillarsConfig(), NAMES)
OFFSET = math.pi / 4


def decoder(cfg: DecodeConfig) -> AnchorDecoder:
    return AnchorDecoder(ANCHORS, cfg, direction_offset_rad=OFFSET)


def random_maps(seed: int, num_frames: int = 2) -> AnchorMaps:
    generator = torch.Generator().manual_seed(seed)

    def normal(channels: int, scale: float) -> torch.Tensor:
        return torch.randn(num_frames, len(ANCHORS), channels, generator=generator) * scale

    return AnchorMaps(normal(3, 1.5) - 3, normal(7, 0.3), normal(2, 1))


def footprint(box: np.ndarray) -> geometry.Polygon:
    rectangle = geometry.box(-box[3] / 2, -box[4] / 2, box[3] / 2, box[4] / 2)
    return affinity.translate(affinity.rotate(rectangle, box[6], origin=(0, 0), use_radians=True), box[0], box[1])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    first, second = footprint(a), footprint(b)
    both = first.intersection(second).area
    return both / (first.area + second.area - both)


def naive_box(number: int, code: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The formula for one anchor, in OpenPCDet's order of places."""
    cell, place = divmod(number, 6)
    anchor = WAYMO_ANCHORS[place // 2]
    (length, width, height), yaw = anchor.size, (0, 1.57)[place % 2]
    row, column = divmod(cell, 32)
    diagonal = math.sqrt(length**2 + width**2)
    x, y = -8 + column * 16 / 31 + code[0] * diagonal, -6 + row * 12 / 15 + code[1] * diagonal
    z = height / 2 + code[2] * height
    heading = yaw + code[6]
    while not (OFFSET <= heading < OFFSET + math.pi):
        heading += math.pi if heading < OFFSET else -math.pi
    heading += math.pi * direction.argmax()
    size = [length * math.exp(code[3]), width * math.exp(code[4]), height * math.exp(code[5])]
    return np.array([x, y, z, *size, (heading + math.pi) % (2 * math.pi) - math.pi])


def naive_decode(maps: AnchorMaps, frame: int, cfg: DecodeConfig) -> list[tuple[float, int, np.ndarray]]:
    logit, code, direction = (values[frame].double().numpy() for values in (maps.logit, maps.code, maps.direction))
    best = sorted(range(len(logit)), key=lambda n: -logit[n].max())[: cfg.top_k]
    kept: list[tuple[float, int, np.ndarray]] = []
    for n in best:
        score, label = 1 / (1 + math.exp(-logit[n].max())), int(logit[n].argmax())
        box = naive_box(n, code[n], direction[n])
        if score < cfg.score:
            continue
        rivals = [other for _, k, other in kept if cfg.nms == "class_agnostic" or k == label]
        limit = cfg.nms_iou[label] if isinstance(cfg.nms_iou, tuple) else cfg.nms_iou
        if all(overlap(box, other) <= limit for other in rivals):
            kept.append((score, label, box))
    return kept[: cfg.max_detections]


@pytest.mark.parametrize(
    "cfg",
    [
        DecodeConfig(top_k=80, score=0.1, nms="class_agnostic", nms_iou=0.2),
        DecodeConfig(top_k=60, score=0.3, nms_iou=(0.7, 0.3, 0.1)),
        DecodeConfig(top_k=40, score=0.5, nms_iou=0.3, max_detections=10),
    ],
)
def test_equals_loops_over_anchors(cfg: DecodeConfig) -> None:
    maps = random_maps(0)
    for frame, found in enumerate(decoder(cfg)(maps)):
        expected = naive_decode(maps, frame, cfg)
        assert len(expected) > 5
        assert found.label.tolist() == [label for _, label, _ in expected]
        np.testing.assert_allclose(found.score, [score for score, _, _ in expected], rtol=FLOAT32_SUM)
        wanted = np.stack([box for _, _, box in expected])
        np.testing.assert_allclose(found.box[:, :6], wanted[:, :6], rtol=FLOAT32_SUM, atol=COORDINATE_M)
        turn = np.sin((found.box[:, 6].numpy() - wanted[:, 6]) / 2)
        np.testing.assert_allclose(turn, 0, atol=FLOAT32_BELOW_16)


def test_nothing_above_the_score() -> None:
    detections = decoder(DecodeConfig(score=1.0))(random_maps(1))
    assert [(len(found), found.box.shape) for found in detections] == [(0, (0, 7))] * 2


def test_not_a_number_is_no_detection() -> None:
    maps = random_maps(2)
    broken = AnchorMaps(torch.full_like(maps.logit, torch.nan), maps.code, maps.direction)
    assert [len(found) for found in decoder(DecodeConfig(score=0.0))(broken)] == [0, 0]


def perfect_maps(targets: AnchorTargets) -> AnchorMaps:
    """What a head that has learned `targets` says."""
    num_frames = len(targets.background)
    logit = torch.full((num_frames, len(ANCHORS), 3), -9.0)
    code, direction = torch.zeros(num_frames, len(ANCHORS), 7), torch.zeros(num_frames, len(ANCHORS), 2)
    logit[targets.frame, targets.anchor, targets.label] = 9.0
    code[targets.frame, targets.anchor] = targets.code
    direction[targets.frame, targets.anchor, targets.direction] = 1.0
    return AnchorMaps(logit, code, direction)


@pytest.mark.parametrize("half_turn", [False, True])
def test_undoes_the_targets(half_turn: bool) -> None:
    """Every box comes back from its positive anchors, also where the box's heading is off by half a turn."""
    headings = np.linspace(-3.0, 3.1, 9)
    box = np.array([[-6 + 1.5 * i, -5 + 1.2 * i, 0.3, 4.5, 2, 1.6, heading] for i, heading in enumerate(headings)])
    box[::3, 3:6] = [0.9, 0.8, 1.7]
    label = np.array([1, 0, 0] * 3)
    one = np.ones(9, np.int64)
    rows = GroundTruth(box.astype(np.float32), label, one, one, np.full(9, "t"), np.zeros((9, 2), np.float32)).to("cpu")
    targets = AnchorAssigner(ANCHORS, direction_bins=2, direction_offset_rad=OFFSET)([rows])
    maps = perfect_maps(targets)
    if half_turn:
        maps.code[..., 6] += math.pi
    (found,) = decoder(DecodeConfig(nms_iou=0.5))(maps)
    assert sorted(found.label.tolist()) == sorted(label.tolist())
    for wanted, k in zip(box, label, strict=True):
        error = np.abs(found.box.numpy()[found.label.numpy() == k] - wanted)
        error[:, 6] = np.abs(np.sin(error[:, 6] / 2))
        assert error.max(1).min() < COORDINATE_M
