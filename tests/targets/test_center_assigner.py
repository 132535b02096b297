"""CenterAssigner against a loop over objects, one at a time, in numpy."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.ops.center_box_coder import encode_center_boxes
from pcdet_poly.structures import Grid, GroundTruth
from pcdet_poly.targets import CenterAssigner
from tests.tolerances import COORDINATE_M, FLOAT32_BELOW_16, FLOAT32_SUM

GRID = Grid((-16.0, -9.6, -2.0), (16.0, 9.6, 4.0), (0.64, 0.32, 6.0))  # 50 x 60 cells


def objects(box, label) -> GroundTruth:
    box, label = np.asarray(box, np.float32).reshape(-1, 7), np.asarray(label, np.int64)
    count = np.ones(len(box), np.int64)
    speed = np.zeros((len(box), 2), np.float32)
    return GroundTruth(box, label, count, count, np.full(len(box), "t"), speed).to("cpu")


def random_objects(rng: np.random.Generator, count: int) -> GroundTruth:
    box = rng.uniform([-20, -12, -3, -0.2, 0.2, 0.2, -4], [20, 12, 5, 6, 3, 3, 4], (count, 7))
    return objects(box, rng.integers(0, 3, count))


def naive_radius(length: float, width: float, overlap: float, corrected: bool) -> float:
    equations = [
        (1, length + width, length * width * (1 - overlap) / (1 + overlap)),
        (4, 2 * (length + width), (1 - overlap) * length * width),
        (4 * overlap, -2 * overlap * (length + width), (overlap - 1) * length * width),
    ]
    if not corrected:
        return min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in equations)
    roots = [-1, -1, 1]
    return min(
        (b + sign * math.sqrt(b * b - 4 * a * c)) / (2 * a) for sign, (a, b, c) in zip(roots, equations, strict=True)
    )


def naive_targets(frames, grid: Grid, num_classes: int, cfg: TargetsConfig):
    nx, ny, _ = grid.shape
    heatmap = np.zeros((len(frames), num_classes, ny, nx))
    rows = []
    for b, frame in enumerate(frames):
        usable = []
        for n, box in enumerate(frame.box.numpy()):
            inside = all(low <= value < high for low, value, high in zip(grid.lower, box[:3], grid.upper, strict=True))
            if inside and min(box[3:6]) > 0:
                usable.append(n)
        nearest = sorted(usable, key=lambda n: math.hypot(*frame.box[n, :2].tolist()))[: cfg.max_objects]
        for n in sorted(nearest):
            x, y, z, length, width, height, heading = frame.box[n].tolist()
            k = int(frame.label[n])
            cx, cy = (x - grid.lower[0]) / grid.cell[0], (y - grid.lower[1]) / grid.cell[1]
            ix, iy = int(cx), int(cy)
            radius = naive_radius(
                length / grid.cell[0], width / grid.cell[1], cfg.min_overlap, cfg.radius == "corrected"
            )
            r = max(int(radius), cfg.min_radius)
            sigma = (2 * r + 1) / 6
            for j in range(max(iy - r, 0), min(iy + r + 1, ny)):
                for i in range(max(ix - r, 0), min(ix + r + 1, nx)):
                    value = math.exp(-((i - ix) ** 2 + (j - iy) ** 2) / (2 * sigma**2))
                    heatmap[b, k, j, i] = max(heatmap[b, k, j, i], value)
            code = [cx - ix, cy - iy, z, *(math.log(s) for s in (length, width, height))]
            rows.append((b, iy * nx + ix, k, [*code, math.sin(heading), math.cos(heading)]))
    return heatmap, rows


@pytest.mark.parametrize("radius", ["legacy", "corrected"])
@pytest.mark.parametrize("max_objects", [500, 12])
def test_equals_a_loop_over_objects(radius, max_objects):
    rng = np.random.default_rng(3)
    cfg = TargetsConfig(radius=radius, max_objects=max_objects)
    frames = [random_objects(rng, count) for count in (40, 0, 25, 3, 0)]
    targets = CenterAssigner(GRID, 3, cfg)(frames)
    heatmap, rows = naive_targets(frames, GRID, 3, cfg)
    frame, cell, label, code = zip(*rows, strict=True)
    np.testing.assert_allclose(targets.heatmap.numpy(), heatmap, atol=FLOAT32_BELOW_16)
    assert targets.frame.tolist() == list(frame)
    assert targets.cell.tolist() == list(cell)
    assert targets.label.tolist() == list(label)
    np.testing.assert_allclose(targets.code.numpy(), code, atol=COORDINATE_M)


def test_velocity_is_the_speed_in_the_vehicle_frame_of_the_objects_that_stay():
    rng = np.random.default_rng(5)
    frames = [random_objects(rng, count) for count in (9, 0, 6)]
    frames = [replace(rows, speed=torch.from_numpy(rng.normal(0, 5, (len(rows), 2)))) for rows in frames]
    frames[0].speed[3] = torch.nan
    for rows in frames:
        rows.box[:, 3:6] = rows.box[:, 3:6].abs()
    turn = torch.from_numpy(rng.normal(size=(3, 3, 3)))
    assigner = CenterAssigner(GRID, 3, TargetsConfig())
    assert assigner(frames).velocity is None
    targets = assigner(frames, vehicle_from_world=turn)
    wanted = []
    for b, rows in enumerate(frames):
        for n, box in enumerate(rows.box.numpy()):
            if all(low <= value < high for low, value, high in zip(GRID.lower, box[:3], GRID.upper, strict=True)):
                wanted.append((turn[b].numpy() @ [*rows.speed[n].tolist(), 0.0])[:2])
    assert 0 < len(wanted) < 15
    np.testing.assert_allclose(targets.velocity.numpy(), wanted, rtol=FLOAT32_SUM)


def test_two_objects_on_one_cell_are_two_targets_with_one_peak():
    near = [1.0, 1.0, 0, 4, 2, 1.5, 0.1]
    targets = CenterAssigner(GRID, 2, TargetsConfig())([objects([near, [1.05, 1.01, 0, 1, 1, 1, 2.0]], [1, 1])])
    assert targets.cell[0] == targets.cell[1]
    assert targets.code.shape == (2, 8)
    assert (targets.heatmap == 1).sum() == 1
    assert targets.heatmap[0, 0].sum() == 0


def test_frames_without_objects():
    targets = CenterAssigner(GRID, 3, TargetsConfig())([objects([], []), objects([], [])])
    assert targets.heatmap.shape == (2, 3, 60, 50)
    assert targets.heatmap.count_nonzero() == 0
    assert targets.code.shape == (0, 8)


def test_edges_of_the_grid_are_half_open():
    box = [[-16.0, 0, 0, 4, 2, 1, 0], [16.0, 0, 0, 4, 2, 1, 0], [0, -9.6, 0, 4, 2, 1, 0], [0, 0, 4.0, 4, 2, 1, 0]]
    targets = CenterAssigner(GRID, 1, TargetsConfig())([objects(box, [0] * 4)])
    assert targets.cell.tolist() == [30 * 50, 25]


def test_ground_truth_stays_as_it_was():
    frame = random_objects(np.random.default_rng(0), 20)
    before = frame.box.clone()
    CenterAssigner(GRID, 3, TargetsConfig())([frame])
    assert torch.equal(frame.box, before)


def test_encode_of_no_boxes():
    assert encode_center_boxes(torch.zeros(0, 7), torch.zeros(0, 2)).shape == (0, 8)


def test_offset_at_the_border_is_cut_to_half_a_cell_where_the_rule_says_so():
    # 0.8 cells into the last column, 0.25 into the last row; 0.3 into the first column.
    boxes = objects([[15.872, 9.36, 0, 4, 2, 1, 0], [-15.808, 9.568, 0, 4, 2, 1, 0]], [0, 0])
    offsets = {
        border: CenterAssigner(GRID, 1, TargetsConfig(border=border))([boxes]).code[:, :2].tolist()
        for border in ("exact", "cut", "pull_in")
    }
    np.testing.assert_allclose(offsets["exact"], [[0.8, 0.25], [0.3, 0.9]], atol=COORDINATE_M)
    np.testing.assert_allclose(offsets["cut"], [[0.5, 0.25], [0.3, 0.5]], atol=COORDINATE_M)
    assert offsets["pull_in"] == offsets["cut"]


def test_objects_beyond_the_map_are_pulled_to_its_border_by_one_rule_only():
    boxes = objects([[40.0, 0.1, 9.0, 4, 2, 1, 0], [0.1, -30.0, 0, 4, 2, 1, 0], [0, 0, 0, 4, 2, -1, 0]], [0, 0, 0])
    assert len(CenterAssigner(GRID, 1, TargetsConfig(border="cut"))([boxes]).cell) == 0
    pulled = CenterAssigner(GRID, 1, TargetsConfig(border="pull_in"))([boxes])
    assert pulled.cell.tolist() == [30 * 50 + 49, 25]
    np.testing.assert_allclose(pulled.code[:, :2], [[0.5, 0.3125], [0.15625, 0]], atol=COORDINATE_M)
