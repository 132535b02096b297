"""RSN: its parts against loops and dense convolutions, frames apart from each other, decoding, a step at full size."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.config.sections.rsn import RangeImageConfig
from pcdet_poly.data.load.collate import collate
from pcdet_poly.data.load.loader import make_batch
from pcdet_poly.data.load.prepare_frame import prepare_frame
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.models.decoding.rsn_decoder import RsnDecoder, max_of_touching_voxels
from pcdet_poly.models.layers.rsn.range_net import RsnRangeNet
from pcdet_poly.models.layers.rsn.sparse_blocks import RsnGrowingLayer, RsnResidualBlock, RsnSparseBlocks
from pcdet_poly.models.layers.rsn.voxel_encoder import describe_geometry
from pcdet_poly.models.layers.sparse_layers import SparseNorm
from pcdet_poly.ops.heading_bins import encode_heading_bin
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import Batch, Frame, Grid, GroundTruth, RsnMaps, Sites, SparseTensor
from pcdet_poly.waymo import decode_frame, encode_scan
from tests.tolerances import COORDINATE_M, FLOAT32_SUM, NETWORK, float32_sum_error

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
COLUMNS = ("x", "y", "z", "intensity", "elongation")


def tiny(**sections: object) -> Config:
    """32 x 32 m, .5 m pillars, slim layers, vehicles."""
    model = {
        "kind": "rsn",
        "image": {"rows": 8, "columns": 50, "blocks": [1, 1], "channels": [4, 8], "strides": [1, 2]},
        "channels": 8,
        "blocks": ["B1", "B0/2"],
        "heading_bins": 4,
        **sections.pop("model", {}),  # type: ignore[dict-item]
    }
    values = {
        "data": {"classes": ["VEHICLE"]},
        "grid": {"lower": [-16, -16, -2], "upper": [16, 16, 4], "cell": [0.5, 0.5, 6]},
        "decode": {"nms": "none"},
    }
    return Config.model_validate({**values, "model": model, **sections})


def a_frame(seed: int, num_points: int, num_objects: int = 4) -> Frame:
    rng = np.random.default_rng(seed)
    points = rng.uniform([-18, -18, -2.5, 0, 0], [18, 18, 4.5, 3, 1.5], (num_points, 5)).astype(np.float32)
    box = rng.uniform([-12, -12, 0, 3, 1.5, 1.5, -3], [12, 12, 2, 6, 3, 3, 3], (num_objects, 7)).astype(np.float32)
    one = np.ones(num_objects, np.int64)
    speed = np.zeros((num_objects, 2), np.float32)
    truth = GroundTruth(box, 0 * one, one, one, np.full(num_objects, "t"), speed)
    return Frame(points, truth, np.eye(4), seed, "segment", columns=COLUMNS)


def a_batch(cfg: Config, *counts: int) -> Batch:
    return make_batch([a_frame(seed, count) for seed, count in enumerate(counts)], cfg)


def test_image_network_keeps_any_size() -> None:
    net = RsnRangeNet(3, RangeImageConfig()).eval()
    for height, width in ((64, 83), (5, 7), (1, 16)):
        assert net(torch.rand(1, 3, height, width)).shape == (1, 32, height, width)
    one_stage = RsnRangeNet(3, RangeImageConfig(blocks=(2,), channels=(6,), strides=(1,)))
    assert one_stage(torch.rand(2, 3, 4, 9)).shape == (2, 6, 4, 9)


def test_image_network_has_the_layers_of_the_plan() -> None:
    def block(inputs: int, width: int) -> int:
        projection = inputs * width + 2 * width if inputs != width else 0
        return 9 * (inputs * width + width * width) + 4 * width + projection

    def strided(width: int) -> int:  # a shortcut with a stride is a convolution even where widths are equal
        return block(width, width) + width * width + 2 * width

    def same(width: int) -> int:
        return block(width, width)

    down = block(3, 16) + block(16, 64) + same(64) + block(64, 128) + same(128) + strided(128) + same(128)
    up = 128 * 128 + 2 * same(128) + 256 * 64 + 2 * same(64) + 128 * 16 + same(16)
    assert sum(p.numel() for p in RsnRangeNet(3, RangeImageConfig()).parameters()) == down + up == 2_035_712


def test_point_geometry_equals_loops() -> None:
    grid = Grid((-4.0, -4.0, -2.0), (4.0, 4.0, 2.0), (2.0, 1.0, 2.0))
    rng = np.random.default_rng(0)
    xyz = rng.uniform([-4, -4, -2], [4, 4, 2], (200, 3)).astype(np.float32)
    frame = np.repeat([0, 1], 100)
    voxels = voxelize(torch.from_numpy(xyz), torch.from_numpy(frame), grid, 2)
    found = describe_geometry(torch.from_numpy(xyz), voxels).numpy()
    cell = np.floor((xyz - grid.lower) / np.array(grid.cell)).astype(int)
    for i in range(len(xyz)):
        same = xyz[(cell == cell[i]).all(axis=1) & (frame == frame[i])].astype(float)
        mean, spread = same.mean(axis=0), np.cov(same.T, bias=True).reshape(3, 3) if len(same) > 1 else np.zeros((3, 3))
        middle = np.array(grid.lower) + (cell[i] + 0.5) * np.array(grid.cell)
        upper_triangle = [spread[a, b] for a, b in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
        expected = [*(xyz[i] / [4, 4, 2]), *(xyz[i] - mean), *upper_triangle, *(xyz[i] - middle)]
        # Means of about ten squares of offsets below 4 m.
        np.testing.assert_allclose(found[i], expected, atol=float32_sum_error(10, 16.0) / 10)


def dense_blocks(
    network: RsnSparseBlocks, values: torch.Tensor, active: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same blocks as dense convolutions (B, C, nz, ny, nx), 0 but on active cells (B, 1, ...)."""
    depth = network.kernel[0]
    padding = (depth // 2, 1, 1)

    def convolve(layer: torch.nn.Module, x: torch.Tensor, stride: tuple[int, int, int] = (1, 1, 1)) -> torch.Tensor:
        return functional.conv3d(x, layer.weight.permute(0, 4, 1, 2, 3), stride=stride, padding=padding)

    def norm(layer: SparseNorm, x: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=layer.eps)

    for layer in network.layers:
        if isinstance(layer, RsnGrowingLayer):
            stride = layer.convolution.stride
            reached = functional.conv3d(active, torch.ones(1, 1, depth, 3, 3), stride=stride, padding=padding)
            active = (reached > 0).float()
            values = norm(layer.norm, convolve(layer.convolution, values, stride)).relu() * active
        else:
            assert isinstance(layer, RsnResidualBlock)
            hidden = norm(layer.first_norm, convolve(layer.first, values)).relu() * active
            values = (values + norm(layer.second_norm, convolve(layer.second, hidden))).relu() * active
    return values, active


@pytest.mark.parametrize("shape", [(1, 13, 10), (6, 9, 8)])
def test_sparse_blocks_equal_dense_convolutions(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = RsnSparseBlocks(4, ["B1", "B0/2", "B0", "B0/2", "B1"], depth=1 if shape[0] == 1 else 3)
    for module in network.modules():
        if isinstance(module, SparseNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    network.eval()
    active = (torch.rand(2, 1, *shape) < 0.15).float()
    cell = active.flatten().nonzero()[:, 0]
    features = torch.randn(len(cell), 4)
    dense = torch.zeros(active.numel(), 4).index_copy(0, cell, features).view(2, *shape, 4).permute(0, 4, 1, 2, 3)
    with torch.no_grad():
        found = network(SparseTensor(features, Sites(cell, shape, 2)))
        expected, reached = dense_blocks(network, dense, active)
    assert found.sites.cell.equal(reached.flatten().nonzero()[:, 0])
    rows = expected.permute(0, 2, 3, 4, 1).flatten(0, 3)[found.sites.cell]
    torch.testing.assert_close(found.features, rows, **NETWORK)


@pytest.mark.parametrize("sweeps", [1, 3])
@pytest.mark.parametrize("counts", [(400, 0, 300), (0, 350), (0, 0), (1, 0)])
def test_frames_do_not_see_each_other(counts: tuple[int, ...], sweeps: int) -> None:
    cfg = tiny(data={"classes": ["VEHICLE"], "sweeps": sweeps}, model={"foreground_score": 0.1})
    torch.manual_seed(0)
    model = build_recipe(cfg).model.eval()
    with torch.no_grad():
        together = model(a_batch(cfg, *counts))
        frame = together.sites.coordinates()[:, 0]
        for i, count in enumerate(counts):
            alone = model(make_batch([a_frame(i, count)], cfg))
            rows = (frame == i).nonzero()[:, 0]
            assert len(rows) == len(alone.heatmap)
            for name in ("centre", "heatmap", "offset", "size", "heading"):
                torch.testing.assert_close(getattr(together, name)[rows], getattr(alone, name), **NETWORK)


@pytest.mark.parametrize(
    ("counts", "head"),
    [((400, 0, 300), {}), ((300, 400), {"sizes": "metres", "hidden_head": False}), ((0, 0), {}), ((1, 0), {})],
)
def test_every_parameter_gets_a_finite_gradient(counts: tuple[int, ...], head: dict[str, object]) -> None:
    cfg = tiny(model=head)
    torch.manual_seed(0)
    recipe, batch = build_recipe(cfg), a_batch(cfg, *counts)
    recipe.criterion(recipe.model(batch), recipe.assign(batch)).total.backward()
    for name, parameter in recipe.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if sum(counts) > 1:
            assert parameter.grad.abs().sum() > 0, name


def test_labelled_points_go_on_in_training_alone() -> None:
    cfg = tiny(model={"foreground_score": 0.9999})
    recipe, batch = build_recipe(cfg), a_batch(cfg, 2000)
    foreground = int(recipe.assign(batch).foreground.sum())
    assert foreground > 20
    assert len(recipe.model.train()(batch).heatmap) > 0
    maps = recipe.model.eval()(batch)
    assert len(maps.heatmap) == 0
    assert [len(found) for found in recipe.decode(maps)] == [0]


def test_points_at_the_threshold_and_above_go_on() -> None:
    torch.manual_seed(1)
    cfg = tiny(model={"prior": 0.15})
    recipe, batch = build_recipe(cfg), a_batch(cfg, 1000)
    model = recipe.model.eval()
    with torch.no_grad():
        model.foreground.weight.normal_(0, 1)
        maps = model(batch)
    good = maps.foreground.sigmoid() >= 0.15
    assert 100 < good.sum() < 900
    voxels = voxelize(batch.points[good], batch.frame_of_point[good], Grid((-16, -16, -2), (16, 16, 4), (1, 1, 6)), 1)
    reached = maps.sites.cell
    assert set(voxels.cell.tolist()) <= set(reached.tolist())  # B0/2 may reach more
    assert len(reached) < 3 * len(voxels)


def naive_detections(maps: RsnMaps, cfg: DecodeConfig, frame: int, sizes: str) -> list[tuple[float, list[float]]]:
    place = maps.sites.coordinates().tolist()
    logit = maps.heatmap.tolist()
    found = []
    for v, (f, *here) in enumerate(place):
        around = [
            x
            for x, (g, *there) in zip(logit, place, strict=True)
            if g == f and np.abs(np.subtract(here, there)).max() <= 1
        ]
        score = 1 / (1 + math.exp(-logit[v]))
        if f != frame or logit[v] < max(around) or score < cfg.score:
            continue
        bins = maps.heading.shape[1] // 2
        best = int(maps.heading[v, :bins].argmax())
        heading = math.remainder((best + float(maps.heading[v, bins + best])) * 2 * math.pi / bins, 2 * math.pi)
        size = [math.exp(x) if sizes == "log" else max(x, math.exp(-5)) for x in maps.size[v].tolist()]
        box = [*(maps.centre[v] + maps.offset[v]).tolist(), *size, heading]
        found.append((score, box))
    return sorted(found, key=lambda row: -row[0])[: min(cfg.top_k, cfg.max_detections)]


def random_maps(seed: int, shape: tuple[int, int, int]) -> RsnMaps:
    g = torch.Generator().manual_seed(seed)
    cell = torch.randperm(2 * math.prod(shape), generator=g)[:150].sort().values

    def normal(channels: int) -> torch.Tensor:
        return torch.randn(150, channels, generator=g)

    return RsnMaps(torch.zeros(0), Sites(cell, shape, 2), normal(3), normal(1)[:, 0], normal(3), normal(3), normal(8))


@pytest.mark.parametrize("shape", [(1, 14, 16), (5, 8, 9)])
@pytest.mark.parametrize(
    ("cfg", "sizes"),
    [(DecodeConfig(nms="none", score=0.2), "log"), (DecodeConfig(nms="none", score=0.5, top_k=4), "metres")],
)
def test_decoding_equals_loops(shape: tuple[int, int, int], cfg: DecodeConfig, sizes: str) -> None:
    maps = random_maps(0, shape)
    for frame, found in enumerate(RsnDecoder(cfg, sizes)(maps)):
        expected = naive_detections(maps, cfg, frame, sizes)
        assert len(found) == len(expected) > 2
        np.testing.assert_allclose(found.score, [score for score, _ in expected], rtol=FLOAT32_SUM)
        np.testing.assert_allclose(found.box, [box for _, box in expected], atol=COORDINATE_M, rtol=FLOAT32_SUM)
        assert set(found.label.tolist()) == {0}


def test_equal_neighbours_are_both_peaks_and_frames_do_not_touch() -> None:
    sites = Sites(torch.tensor([3, 4, 7, 8, 11]), (1, 2, 4), 2)  # 3 ends a row, 4 begins the next; 8 is frame 1
    highest = max_of_touching_voxels(sites, torch.tensor([1.0, 5.0, 1.0, 9.0, 2.0]))
    assert highest.tolist() == [1.0, 5.0, 1.0, 9.0, 2.0]


def test_decoding_the_targets_gives_the_boxes_back() -> None:
    rng = np.random.default_rng(0)
    box = torch.from_numpy(rng.uniform([-5, -5, -1, 1, 1, 1, -3], [5, 5, 1, 5, 3, 3, 3], (12, 7)).astype(np.float32))
    centre = box[:, :3] + 0.3
    sector, residual = encode_heading_bin(box[:, 6], 12)
    logits = functional.one_hot(sector, 12).float()
    heading = torch.cat([logits, logits * residual[:, None]], dim=1)
    apart = Sites(torch.arange(12) * 5, (1, 1, 60), 1)
    maps = RsnMaps(
        torch.zeros(0), apart, centre, torch.linspace(5, 4, 12), box[:, :3] - centre, box[:, 3:6].log(), heading
    )
    (found,) = RsnDecoder(DecodeConfig(nms="none"))(maps)
    np.testing.assert_allclose(found.box, box, atol=COORDINATE_M)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.classes=[VEHICLE,PEDESTRIAN]", "one model per class"),
        ("targets.min_radius=3", "has its own under `model`"),
        ("regression.weight=3", "has its own under `model`"),
        ("classification.normalizer=peaks", "rsn divides by objects"),
        ("paste={bank: somewhere, objects: [5]}", "a pasted object hides nothing"),
        ("model.segmentation.epsilon=[1,2]", "2 numbers for 1 class"),
        ("model.segmentation.epsilon=-1.5", "below -1"),
        ("model.image.strides=[2,2,2,2]", "the first must be 1"),
        ("model.image.blocks=[1,2]", "must have one length"),
    ],
)
def test_settings_that_nothing_would_use_are_refused(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(CONFIGS / "rsn_vehicle_s.yaml", [override])


@pytest.fixture(scope="module")
def simulated_frame() -> Frame:
    (scan,) = simulate_segment(1000, num_frames=1)
    return decode_frame(encode_scan(scan))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "columns", "parameters"),
    [
        ("rsn_vehicle_s", 2650, 3_216_768),
        ("rsn_vehicle_l", 1325, 3_466_176),
        ("rsn_vehicle_xl", 2650, 3_927_360),
        ("rsn_pedestrian_s", 2650, 2_799_536),
        ("rsn_pedestrian_l", 1325, 2_965_808),
    ],
)
def test_a_training_step_at_full_size(name: str, columns: int, parameters: int, simulated_frame: Frame) -> None:
    """Of half the columns where all that is new beside the one before is blocks, which the largest has, too."""
    cfg = load_config(CONFIGS / f"{name}.yaml", [f"model.image.columns={columns}"])
    batch = make_batch([simulated_frame], cfg)
    torch.manual_seed(0)
    recipe = build_recipe(cfg)
    assert sum(p.numel() for p in recipe.model.parameters()) == parameters
    losses = recipe.criterion(recipe.model(batch), recipe.assign(batch))
    losses.total.backward()
    assert losses.total.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in recipe.model.parameters())


def test_past_sweeps_join_in_with_their_age() -> None:
    cfg = tiny(data={"classes": ["VEHICLE"], "sweeps": 3}, model={"foreground_score": 0.0})
    frame, *past = (replace(a_frame(0, 500), timestamp_us=100_000 * (2 - i)) for i in range(3))
    batch = collate([prepare_frame(frame, past, cfg)], cfg.data.classes, cfg.model.image)
    recipe = build_recipe(cfg)
    model = recipe.model.eval()
    assert batch.range_images is not None
    assert batch.range_images.image.shape == (3, 3, 8, 50)
    with torch.no_grad():
        maps = model(batch)
        same_age = model(replace(batch, points=batch.points * torch.tensor([1, 1, 1, 1, 1, 0])))
    assert len(maps.foreground) == 1500
    assert not torch.allclose(maps.heatmap, same_age.heatmap)  # the voxel encoder saw the ages
    targets = recipe.assign(batch)
    assert int(targets.counted.sum()) == 500
    assert int(recipe.counts(targets)["segmentation"]) == 500
    other = replace(maps, foreground=torch.where(targets.counted, maps.foreground, 9.0))
    first, second = (recipe.criterion(each, targets).parts["segmentation"] for each in (maps, other))
    assert first.equal(second)  # labels are those of the frame's own sweep
