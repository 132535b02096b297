"""Decoding against loops over cells, with rotated IoU by shapely; and as the inverse of the targets."""

import math

import numpy as np
import pytest
import torch
from shapely import affinity, geometry

from pcdet_poly.config.output import DecodeConfig, TargetsConfig
from pcdet_poly.models.decode import CenterDecoder, highest_around, top_peaks
from pcdet_poly.ops.center_code import decode_boxes
from pcdet_poly.structures import CenterMaps, Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner

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
    first, second = corners(a), corners(b)
    both = first.intersection(second).area
    return both / (first.area + second.area - both)


def naive_peaks(heatmap: np.ndarray, top_k: int) -> list[tuple[float, int, int]]:
    """Logit, cell and class of the highest peaks of each class of one frame."""
    peaks = []
    for k, image in enumerate(heatmap):
        found = []
        for row in range(image.shape[0]):
            for column in range(image.shape[1]):
                around = image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                if image[row, column] == around.max():
                    found.append((float(image[row, column]), row * image.shape[1] + column, k))
        peaks += sorted(found, key=lambda peak: -peak[0])[:top_k]
    return peaks


def naive_decode(maps: CenterMaps, frame: int, grid: Grid, cfg: DecodeConfig) -> list[tuple[float, int, np.ndarray]]:
    found = []
    for logit, cell, k in naive_peaks(maps.heatmap[frame].double().numpy(), cfg.top_k):
        score = 1 / (1 + math.exp(-logit))
        if score < cfg.score:
            continue
        row, column = divmod(cell, grid.shape[0])
        offset, z, size, heading = (
            getattr(maps, name)[frame, :, row, column].double().numpy() for name in ("offset", "z", "size", "heading")
        )
        x = (column + offset[0]) * grid.cell[0] + grid.lower[0]
        y = (row + offset[1]) * grid.cell[1] + grid.lower[1]
        box = np.array([x, y, z[0], *np.exp(size), math.atan2(heading[0], heading[1])])
        found.append((score, k, box))
    found.sort(key=lambda row: -row[0])
    iou = [cfg.nms_iou] * 3 if isinstance(cfg.nms_iou, float) else cfg.nms_iou
    kept: list[tuple[float, int, np.ndarray]] = []
    for score, k, box in found:
        if all(k != other or overlap(box, rival) <= iou[k] for _, other, rival in kept):
            kept.append((score, k, box))
    return kept[: cfg.max_detections]


@pytest.mark.parametrize(
    "cfg",
    [
        DecodeConfig(top_k=500, score=0.1, nms_iou=0.2),
        DecodeConfig(top_k=7, score=0.5, nms_iou=(0.7, 0.3, 0.1)),
        DecodeConfig(top_k=40, score=0.3, nms_iou=0.3, max_detections=10),
    ],
)
def test_equals_loops_over_cells(cfg):
    maps = random_maps(0)
    for frame, found in enumerate(CenterDecoder(GRID, cfg)(maps)):
        expected = naive_decode(maps, frame, GRID, cfg)
        assert found.label.tolist() == [k for _, k, _ in expected]
        np.testing.assert_allclose(found.score, [score for score, _, _ in expected], rtol=1e-5)
        np.testing.assert_allclose(found.box, np.stack([box for _, _, box in expected]), atol=1e-4)


def test_nothing_above_the_score():
    detections = CenterDecoder(GRID, DecodeConfig(score=1.0))(random_maps(1))
    assert [(len(found), found.box.shape) for found in detections] == [(0, (0, 7))] * 2


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (1, 1, 1, 6), (1, 2, 4, 1)])
def test_highest_around_equals_max_pooling(shape):
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    assert torch.equal(highest_around(image), torch.nn.functional.max_pool2d(image, 3, stride=1, padding=1))


def test_ties_of_neighbours_are_all_peaks():
    heatmap = torch.full((1, 1, 4, 4), -3.0)
    heatmap[0, 0, 1, 1:3] = 2.0
    logit, cell, _ = top_peaks(heatmap, 3)
    assert sorted(cell[0, logit[0] == 2].tolist()) == [5, 6]


def test_not_a_number_is_no_detection():
    maps = random_maps(2)
    broken = CenterMaps(torch.full_like(maps.heatmap, torch.nan), maps.offset, maps.z, maps.size, maps.heading)
    assert [len(found) for found in CenterDecoder(GRID, DecodeConfig())(broken)] == [0, 0]


def test_sizes_stay_finite():
    code = torch.full((1, 8), 1e9)
    assert decode_boxes(code, torch.zeros(1, dtype=torch.int64), GRID)[:, 3:6].tolist() == [
        [pytest.approx(math.exp(5))] * 3
    ]


def test_decoding_the_targets_gives_the_boxes_back():
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
    maps = CenterMaps(targets.heatmap.logit(eps=1e-4), offset, z, size, heading)
    (found,) = CenterDecoder(GRID, DecodeConfig(score=0.99))(maps)
    assert len(found) == count
    nearest = np.abs(found.box.numpy()[:, None] - box[None]).sum(2).argmin(1)
    assert sorted(nearest) == list(range(count))
    np.testing.assert_allclose(found.box.numpy(), box[nearest], atol=1e-4)
    assert found.label.tolist() == label[nearest].tolist()
