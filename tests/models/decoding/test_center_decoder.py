"""Decoding against loops over cells, with rotated IoU by shapely; and as the inverse of the targets."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from shapely import affinity, geometry

from pcdet_poly.config.sections.output import DecodeConfig, TargetsConfig
from pcdet_poly.models.decoding.center_decoder import CenterDecoder, find_candidates, max_of_neighbours, weigh_by_iou
from pcdet_poly.ops.center_box_coder import decode_center_boxes
from pcdet_poly.structures import CenterMaps, Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner
from tests.tolerances import COORDINATE_M, FLOAT32_BELOW_16, FLOAT32_SUM

GRID = Grid((-8.0, -6.0, -2.0), (8.0, 6.0, 4.0), (0.5, 0.75, 6.0))  # 32 x 16 cells


def random_maps(seed: int, num_frames: int = 2, num_classes: int = 3) -> CenterMaps:
    generator = torch.Generator().manual_seed(seed)

    def normal(channels: int) -> torch.Tensor:
        return torch.randn(num_frames, channels, 16, 32, generator=generator)

    return CenterMaps(normal(num_classes), normal(2), normal(1), normal(3) * 0.3 + 0.5, normal(2))


def corners(box: np.ndarray) -> geometry.Polygon:
    rectangle = geometry.box(-box[3] / 2, -box[4] / 2, box[3] / 2, box[4] / 2)
    turned = affinity.rotate(rectangle, box[6], origin=(0, 0), use_radians=True)
    return affinity.translate(turned, box[0], box[1])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    if math.dist(a[:2], b[:2]) > math.hypot(*a[3:5]) / 2 + math.hypot(*b[3:5]) / 2:
        return 0.0  # the circles around them do not touch
    first, second = corners(a), corners(b)
    both = first.intersection(second).area
    return both / (first.area + second.area - both)


def naive_candidates(heatmap: np.ndarray, cfg: DecodeConfig) -> list[tuple[float, int, int]]:
    """Logit, cell and class of the cells of one frame that may become boxes."""
    num_classes, _, num_columns = heatmap.shape
    found = []
    for k, row, column in np.ndindex(heatmap.shape):
        around = heatmap[k, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if of_class(cfg.peaks, k) == "none" or heatmap[k, row, column] == around.max():
            found.append((float(heatmap[k, row, column]), row * num_columns + column, k))
    found.sort(key=lambda candidate: -candidate[0])
    if cfg.candidates == "per_class":
        return [one for k in range(num_classes) for one in [each for each in found if each[2] == k][: cfg.top_k]]
    if cfg.candidates == "best_class":
        found = [one for i, one in enumerate(found) if all(one[1] != before[1] for before in found[:i])]
    return found[: cfg.top_k]


def of_class(number: Any, k: int) -> Any:
    return number[k] if isinstance(number, tuple) else number


def loses(k: int, box: np.ndarray, other: int, rival: np.ndarray, cfg: DecodeConfig) -> bool:
    """Whether a box of class k goes because of a rival with a better score."""
    match cfg.nms:
        case "per_class":
            return k == other and overlap(box, rival) > of_class(cfg.nms_iou, k)
        case "class_agnostic":
            return overlap(box, rival) > cfg.nms_iou
        case "circle":
            return k == other and math.dist(box[:2], rival[:2]) <= of_class(cfg.circle_radius_m, k)
    return False


def naive_decode(maps: CenterMaps, frame: int, grid: Grid, cfg: DecodeConfig) -> list[tuple]:
    """Score, class, box and velocity, best first."""
    found = []
    for logit, cell, k in naive_candidates(maps.heatmap[frame].double().numpy(), cfg):
        score = 1 / (1 + math.exp(-logit))
        if score < cfg.score or (score == cfg.score and cfg.score_rule == "above"):
            continue
        row, column = divmod(cell, grid.shape[0])
        offset, z, size, heading, iou, velocity = (
            getattr(maps, name)[frame, :, row, column].double().numpy()
            for name in ("offset", "z", "size", "heading", "iou", "velocity")
        )
        if cfg.iou_weight is not None:
            a = of_class(cfg.iou_weight, k)
            score = score ** (1 - a) * min(max((iou[0] + 1) / 2, 0), 1) ** a
        x = (column + offset[0]) * grid.cell[0] + grid.lower[0]
        y = (row + offset[1]) * grid.cell[1] + grid.lower[1]
        box = np.array([x, y, z[0], *np.exp(size), math.atan2(heading[0], heading[1])])
        limits = cfg.centre_limits or (-math.inf,) * 3 + (math.inf,) * 3
        if all(low <= place <= high for low, place, high in zip(limits[:3], box, limits[3:], strict=False)):
            found.append((score, k, box, velocity))
    kept: list[tuple] = []
    for row in sorted(found, key=lambda row: -row[0])[: cfg.nms_top_k]:
        if not any(loses(row[1], row[2], other, rival, cfg) for _, other, rival, _ in kept):
            kept.append(row)
    return kept[: cfg.max_detections]


@pytest.mark.parametrize(
    "cfg",
    [
        DecodeConfig(top_k=500, score=0.1, nms_iou=0.2),
        DecodeConfig(top_k=7, score=0.5, nms_iou=(0.7, 0.3, 0.1)),
        DecodeConfig(top_k=40, score=0.3, nms_iou=0.3, max_detections=10),
        DecodeConfig(score=0.7, nms_iou=0.2, iou_weight=0.0),
        DecodeConfig(score=0.7, nms_iou=0.2, iou_weight=0.7),
        DecodeConfig(score=0.7, nms_iou=0.2, iou_weight=1.0),
        DecodeConfig(score=0.7, nms_iou=(0.3, 0.2, 0.1), iou_weight=(0.68, 0.71, 0.65)),
        DecodeConfig(score=0.7, nms="class_agnostic", nms_iou=0.1),
        DecodeConfig(score=0.4, nms="circle", circle_radius_m=1.5),
        DecodeConfig(score=0.4, nms="circle", circle_radius_m=(4.0, 0.8, 1.5), iou_weight=0.5, max_detections=20),
        DecodeConfig(score=0.4, nms="none", iou_weight=0.5),
        DecodeConfig(peaks="none", candidates="all_classes", top_k=90, nms_iou=0.1),
        DecodeConfig(peaks="none", candidates="best_class", top_k=None, score=0.8, nms="class_agnostic", nms_iou=0.1),
        DecodeConfig(peaks=("none", "3x3", "none"), top_k=60, score=0.6, nms_iou=0.2),
        DecodeConfig(peaks="none", candidates="best_class", top_k=50, score=0.6, nms_iou=0.2),
        DecodeConfig(candidates="all_classes", top_k=60, nms="none", nms_top_k=30),
        DecodeConfig(score=0.4, centre_limits=(-5, -4, -0.7, 4, 5, 0.9), nms_iou=0.2),
        DecodeConfig(preset="openpcdet_center", nms_iou=0.1),
        DecodeConfig(preset="openpcdet_center_iou", score=0.5, nms_iou=(0.3, 0.2, 0.1)),
        DecodeConfig(preset="centerpoint_repo", score=0.8),
    ],
    ids=str,
)
def test_equals_loops_over_cells(cfg):
    maps = with_branches(random_maps(0))
    for frame, found in enumerate(CenterDecoder(GRID, cfg)(maps)):
        expected = naive_decode(maps, frame, GRID, cfg)
        assert found.label.tolist() == [k for _, k, _, _ in expected]
        np.testing.assert_allclose(found.score, [score for score, _, _, _ in expected], rtol=FLOAT32_SUM)
        wanted = np.stack([box for _, _, box, _ in expected])
        np.testing.assert_allclose(found.box, wanted, rtol=FLOAT32_SUM, atol=COORDINATE_M)
        np.testing.assert_allclose(
            found.velocity, np.stack([velocity for *_, velocity in expected]), atol=FLOAT32_BELOW_16
        )


def test_every_way_to_compete_tells_other_boxes_apart():
    """So that the comparisons above can fail."""
    ways = [
        {"nms_iou": 0.2},
        {"nms": "class_agnostic", "nms_iou": 0.2},
        {"nms": "circle", "circle_radius_m": 1.5},
        {"nms": "none"},
    ]
    maps = random_maps(0)
    counts = [len(CenterDecoder(GRID, DecodeConfig(score=0.5, **way))(maps)[0]) for way in ways]
    assert len(set(counts)) == 4
    assert max(counts) == counts[-1]


def with_branches(maps: CenterMaps) -> CenterMaps:
    """With an IoU inside (-1, 1), so that no two scores become equal, and a velocity."""
    generator = torch.Generator().manual_seed(7)
    num_frames, _, *cells = maps.heatmap.shape
    iou, velocity = (torch.randn(num_frames, channels, *cells, generator=generator) for channels in (1, 2))
    return replace(maps, iou=iou.tanh(), velocity=velocity)


def test_an_iou_beyond_its_range_is_cut():
    score, label = torch.tensor([0.5, 0.5]), torch.tensor([0, 1])
    mixed = weigh_by_iou(score, torch.tensor([1.7, -0.3]), label, (0.5, 0.5))
    assert mixed.tolist() == [pytest.approx(math.sqrt(0.5)), 0]


def test_no_velocity_without_its_branch():
    assert CenterDecoder(GRID, DecodeConfig())(random_maps(8))[0].velocity is None


def test_nothing_above_the_score():
    detections = CenterDecoder(GRID, DecodeConfig(score=1.0))(random_maps(1))
    assert [(len(found), found.box.shape) for found in detections] == [(0, (0, 7))] * 2


def test_a_score_at_the_threshold_goes_where_it_must_be_above():
    heatmap = torch.full((1, 1, 4, 8), -9.0)
    heatmap[0, 0, 1, 1], heatmap[0, 0, 1, 5] = 0.0, 1.0  # scores 0.5, exactly, and 0.73
    zero = torch.zeros(1, 3, 4, 8)
    maps = CenterMaps(heatmap, zero[:, :2], zero[:, :1], zero, zero[:, :2] + 1)
    for rule, wanted in (("at_least", 2), ("above", 1)):
        (found,) = CenterDecoder(GRID, DecodeConfig(score=0.5, score_rule=rule))(maps)
        assert len(found) == wanted


def test_centres_on_the_limit_stay():
    heatmap = torch.full((1, 1, 16, 32), -9.0)
    heatmap[0, 0, 2, 4] = 5.0
    zero = torch.zeros(1, 3, 16, 32)
    maps = CenterMaps(heatmap, zero[:, :2], zero[:, :1], zero, zero[:, :2] + 1)  # centre -6, -4.5, 0: exact numbers
    for limits, wanted in (((-6, -4.5, 0, 9, 9, 0), 1), ((-9, -9, 0, -6, -4.5, 0), 1), ((-5.99, -9, 0, 9, 9, 0), 0)):
        (found,) = CenterDecoder(GRID, DecodeConfig(centre_limits=limits))(maps)
        assert len(found) == wanted


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (1, 1, 1, 6), (1, 2, 4, 1)])
def test_highest_around_equals_max_pooling(shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    assert torch.equal(max_of_neighbours(image), torch.nn.functional.max_pool2d(image, 3, stride=1, padding=1))


def test_ties_of_neighbours_are_all_peaks():
    heatmap = torch.full((1, 1, 4, 4), -3.0)
    heatmap[0, 0, 1, 1:3] = 2.0
    logit, cell, _ = find_candidates(heatmap, DecodeConfig(top_k=3))
    assert sorted(cell[0, logit[0] == 2].tolist()) == [5, 6]


def test_not_a_number_is_no_detection():
    maps = random_maps(2)
    broken = CenterMaps(torch.full_like(maps.heatmap, torch.nan), maps.offset, maps.z, maps.size, maps.heading)
    assert [len(found) for found in CenterDecoder(GRID, DecodeConfig())(broken)] == [0, 0]


def as_bins(heading: torch.Tensor, num_bins: int) -> torch.Tensor:
    """Sine and cosine (B, 2, H, W) as the bins' logits and residuals (B, 2 n, H, W)."""
    place = torch.atan2(heading[:, 0], heading[:, 1]) * num_bins / (2 * math.pi)
    sector = torch.nn.functional.one_hot((place.round() % num_bins).long(), num_bins).movedim(-1, 1)
    return torch.cat([4.0 * sector - 1, sector * (place - place.round())[:, None]], dim=1)


def test_sizes_stay_finite():
    code = torch.full((1, 8), 1e9)
    assert decode_center_boxes(code, torch.zeros(1, dtype=torch.int64), GRID)[:, 3:6].tolist() == [
        [pytest.approx(math.exp(5))] * 3
    ]


@pytest.mark.parametrize("num_bins", [0, 2, 12])
def test_decoding_the_targets_gives_the_boxes_back(num_bins):
    rng = np.random.default_rng(4)
    column, row = np.meshgrid(np.arange(-7, 8, 3.5), np.arange(-5, 6, 3.0))
    count = column.size
    box = np.stack(
        [column.ravel(), row.ravel(), *rng.uniform([-1, 0.5, 0.5, 0.5, -3], [2, 3, 1.5, 2, 3], (count, 5)).T], 1
    )
    box[:, :2] += rng.uniform(-0.4, 0.4, (count, 2))
    box, label = box.astype(np.float32), rng.integers(0, 3, count)
    one = np.ones(count, np.int64)
    truth = GroundTruth(box, label, one, one, np.full(count, "t"), np.zeros((count, 2), np.float32)).to("cpu")
    targets = CenterAssigner(GRID, 3, TargetsConfig())([truth])
    code = torch.zeros(1, 8, 16 * 32)
    code[0, :, targets.cell] = targets.code.T
    offset, z, size, heading = code.view(1, 8, 16, 32).split([2, 1, 3, 2], dim=1)
    if num_bins:
        heading = as_bins(heading, num_bins)
    maps = CenterMaps(targets.heatmap.logit(eps=1e-4), offset, z, size, heading)
    (found,) = CenterDecoder(GRID, DecodeConfig(score=0.99))(maps)
    assert len(found) == count
    nearest = np.abs(found.box.numpy()[:, None] - box[None]).sum(2).argmin(1)
    assert sorted(nearest) == list(range(count))
    np.testing.assert_allclose(found.box.numpy(), box[nearest], atol=COORDINATE_M)
    assert found.label.tolist() == label[nearest].tolist()
