"""Targets of RSN against loops over points, voxels and boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcdet_poly.structures import Batch, GroundTruth, RangeImages, RsnMaps, RsnTargets, Sites
from pcdet_poly.targets.rsn_assigner import assign_rsn_points, assign_rsn_voxels
from tests.tolerances import FLOAT32_BELOW_16, FLOAT32_SUM, FLOAT32_VALUE


def objects(box: np.ndarray) -> GroundTruth:
    count = len(box)
    zeros = np.zeros(count, np.int64)
    speed = np.zeros((count, 2), np.float32)
    return GroundTruth(box.astype(np.float32), zeros, zeros, zeros, np.full(count, "t"), speed).to("cpu")


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform([-6, -6, -1, 1, 1, 1, -3], [6, 6, 1, 5, 3, 3, 3], (count, 7))


def is_in(point: np.ndarray, box: np.ndarray, *, flat: bool = False) -> bool:
    dx, dy, dz = point[:3] - box[:3]
    along = dx * math.cos(box[6]) + dy * math.sin(box[6])
    across = -dx * math.sin(box[6]) + dy * math.cos(box[6])
    return abs(along) <= box[3] / 2 and abs(across) <= box[4] / 2 and (flat or abs(dz) <= box[5] / 2)


def maps_at(centre: np.ndarray, frame: np.ndarray, num_frames: int, *, layers: int) -> RsnMaps:
    """Maps whose voxels have these centres, in one row of cells."""
    count = len(centre)
    cell = torch.from_numpy(np.asarray(frame) * layers * 1000 + np.arange(count))
    none = torch.zeros(count)
    return RsnMaps(
        foreground=torch.zeros(0),
        sites=Sites(cell, (layers, 1, 1000), num_frames),
        centre=torch.from_numpy(centre.astype(np.float32)),
        heatmap=none,
        offset=none[:, None].expand(-1, 3),
        size=none[:, None].expand(-1, 3),
        heading=none[:, None].expand(-1, 8),
    )


def naive_heat(centre: np.ndarray, frame: np.ndarray, targets: RsnTargets, sigma: float, flat: bool) -> list[float]:
    box, of_frame = targets.box.double().numpy(), targets.frame.tolist()
    size = 2 if flat else 3
    heat = []
    for v, f in zip(centre, frame, strict=True):
        values = [0.0]
        for b, g in zip(box, of_frame, strict=True):
            if f != g or not is_in(v, b, flat=flat):
                continue
            inside = [w for w, h in zip(centre, frame, strict=True) if h == g and is_in(w, b, flat=flat)]
            least = min(np.linalg.norm((w - b[:3])[:size]) for w in inside)
            values.append(math.exp(-(np.linalg.norm((v - b[:3])[:size]) - least) / sigma**2))
        heat.append(max(values))
    return heat


@pytest.mark.parametrize(("layers", "sigma"), [(1, 1.0), (1, 0.5), (4, 1.0)])
@pytest.mark.parametrize("seed", range(3))
def test_heatmap_equals_loops(layers: int, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre = rng.uniform([-7, -7, -2], [7, 7, 2], (300, 3)).astype(np.float32).astype(np.float64)
    frame = np.sort(rng.integers(0, 3, 300))
    targets = RsnTargets(
        foreground=torch.zeros(0, dtype=torch.bool),
        counted=torch.zeros(0, dtype=torch.bool),
        frame=torch.tensor([0] * 8 + [2] * 7),
        box=torch.from_numpy(random_boxes(rng, 15).astype(np.float32)),
    )
    found = assign_rsn_voxels(maps_at(centre, frame, 3, layers=layers), targets, sigma_m=sigma)
    expected = np.array(naive_heat(centre, frame, targets, sigma, layers == 1))
    near_peak = expected > 1 - 1e-3
    # A distance below 16 m, rounded, over the square of the smallest sigma.
    np.testing.assert_allclose(found.heatmap[~near_peak], expected[~near_peak], atol=FLOAT32_BELOW_16 / 0.5**2)
    assert (found.heatmap[near_peak] == 1).all()
    assert near_peak.sum() >= 5
    for v in np.flatnonzero(expected):  # the box is one that the voxel lies in, of its frame
        which = (targets.box == found.box[v]).all(dim=1).nonzero()[0]
        assert targets.frame[which] == frame[v]
        assert is_in(centre[v], found.box[v].double().numpy(), flat=layers == 1)


def test_an_object_seen_at_one_end_alone_has_a_peak() -> None:
    # The nearest voxel to the centre lies beside the box: it must not take the peak away.
    centre = np.array([[2.0, 0, 0], [2.2, 0, 0], [0.0, 1.1, 0]])
    box = torch.tensor([[0.0, 0, 0, 5, 2, 2, 0]])
    none = torch.zeros(0, dtype=torch.bool)
    targets = RsnTargets(none, none, torch.tensor([0]), box)
    heat = assign_rsn_voxels(maps_at(centre, np.zeros(3, int), 1, layers=1), targets, sigma_m=1.0).heatmap
    np.testing.assert_allclose(heat, [1, math.exp(-0.2), 0], rtol=FLOAT32_SUM)


@pytest.mark.parametrize(("num_voxels", "num_boxes"), [(0, 3), (5, 0), (0, 0)])
def test_nothing_to_assign(num_voxels: int, num_boxes: int) -> None:
    rng = np.random.default_rng(0)
    none = torch.zeros(0, dtype=torch.bool)
    box = torch.from_numpy(random_boxes(rng, num_boxes).astype(np.float32))
    targets = RsnTargets(none, none, torch.zeros(num_boxes, dtype=torch.int64), box)
    maps = maps_at(rng.uniform(-1, 1, (num_voxels, 3)), np.zeros(num_voxels, int), 1, layers=1)
    found = assign_rsn_voxels(maps, targets, sigma_m=1.0)
    assert found.heatmap.tolist() == [0.0] * num_voxels
    assert found.box.shape == (num_voxels, 7)


@pytest.mark.parametrize("columns", [5, 6])
def test_points_in_boxes_of_their_frame_are_foreground(columns: int) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-7, 7, (4000, columns)).astype(np.float32)
    frame = np.repeat([0, 2], [2500, 1500])
    pixel = np.where(rng.random(4000) < 0.8, rng.integers(0, 50, 4000), -1)
    if columns == 6:
        points[:, 5] = rng.choice([0.0, 0.1], 4000)
    boxes = [random_boxes(rng, 6), random_boxes(rng, 2), np.zeros((0, 7))]
    batch = Batch(
        torch.from_numpy(points),
        torch.from_numpy(frame),
        tuple(objects(box) for box in boxes),
        ("a", "b", "c"),
        range_images=RangeImages(torch.zeros(3, 3, 5, 10), torch.from_numpy(pixel)),
    )
    targets = assign_rsn_points(batch)
    with_pixel = np.flatnonzero(pixel >= 0)
    expected = [any(is_in(points[i].astype(float), box) for box in boxes[frame[i]]) for i in with_pixel]
    assert targets.foreground.tolist() == expected
    assert 10 < sum(expected) < len(expected)
    assert targets.counted.tolist() == [columns == 5 or points[i, 5] == 0 for i in with_pixel]
    assert targets.frame.tolist() == [0] * 6 + [1] * 2
    np.testing.assert_allclose(targets.box.numpy(), np.concatenate(boxes), rtol=FLOAT32_VALUE)
