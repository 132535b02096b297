"""CenterPoint on voxels: the published sizes, the same network on dense tensors, frames apart, a full-size step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv3d

from benchmarks.common import lidar_cloud
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.activations import enable_checkpointing
from pcdet_poly.models import build_recipe
from pcdet_poly.models.layers.sparse_layers import SparseConv, SparseNorm
from pcdet_poly.models.layers.voxel_backbone import SubmanifoldLayer, SubmanifoldResidualBlock, VoxelBackbone
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.models.summary.model_size import summarize
from pcdet_poly.structures import Grid, GroundTruth, Sites, SparseTensor
from tests.tolerances import NETWORK

from .scenes import batch_of, random_points

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MAPS = ("heatmap", "offset", "z", "size", "heading")


def tiny(*, residual: bool) -> Config:
    """20 x 16 m in 40 x 32 x 24 voxels, an image of 10 x 8 cells of 2 layers."""
    backbone = {"layers": [1], "strides": [1], "channels": [16], "up_strides": [1], "up_channels": [16]}
    model = {"kind": "centerpoint_voxel", "residual": residual, "channels": [4, 6, 8], "layers": [1, 1, 1]}
    return Config.model_validate(
        {
            "data": {"classes": ["VEHICLE", "PEDESTRIAN"]},
            "grid": {"lower": [-10, -8, -2], "upper": [10, 8, 4], "cell": [0.5, 0.5, 0.25]},
            "model": {**model, "out_channels": 8, "backbone": backbone, "head_width": 8},
        }
    )


def build(cfg: Config) -> nn.Module:
    torch.manual_seed(0)
    return build_recipe(cfg).model


@pytest.mark.parametrize(
    ("name", "encoder", "total"),
    [("centerpoint_voxel", 712_304, 5_775_803), ("centerpoint_voxel_residual", 2_695_312, 7_758_811)],
)
def test_published_parameter_counts(name: str, encoder: int, total: int) -> None:
    summary = summarize(load_config(CONFIGS / f"{name}.yaml"))
    assert summary.parameters == {"encoder": encoder, "backbone": 4_576_768, "head": 486_731}
    assert summary.total_parameters == total
    assert summary.bev_cells == (188, 188)


def test_public_resolutions() -> None:
    """41 layers of voxels become 2, and 1504 cells 188."""
    cfg = load_config(CONFIGS / "centerpoint_voxel.yaml").model
    assert cfg.count_bev_layers(40) == 2
    assert (cfg.bev_stride, cfg.output_stride) == (8, 8)
    with torch.device("meta"):
        padding = [layer.conv.padding for layer in VoxelBackbone(5, cfg).strided]
    assert padding == [(1, 1, 1), (1, 1, 1), (0, 1, 1)]


def test_mean_of_points_equals_a_loop() -> None:
    grid = Grid((-10.0, -8.0, -2.0), (10.0, 8.0, 4.0), (2.0, 2.0, 1.0))
    points = torch.from_numpy(random_points(np.random.default_rng(0), 500))
    frame = torch.arange(500) % 3  # the last of four frames is empty
    voxels = average_points(points, frame, grid, 4)
    assert voxels.sites.shape == (7, 8, 10)
    cells: dict[tuple[int, ...], list[Tensor]] = {}
    for row, b in zip(points, frame.tolist(), strict=True):
        x, y, z = ((row[:3] - torch.tensor(grid.lower)) / torch.tensor(grid.cell)).floor().int().tolist()
        if 0 <= x < 10 and 0 <= y < 8 and 0 <= z < 6:
            cells.setdefault((b, z, y, x), []).append(row)
    assert list(map(tuple, voxels.sites.coordinates().tolist())) == sorted(cells)
    expected = torch.stack([torch.stack(cells[key]).mean(0) for key in sorted(cells)])
    torch.testing.assert_close(voxels.features, expected)


class Dense:
    """The sparse network's layers on dense tensors, cells that are not active kept at zero by a mask."""

    def __init__(self, voxels: SparseTensor) -> None:
        coordinates = tuple(voxels.sites.coordinates().T)
        shape = (voxels.sites.num_frames, *voxels.sites.shape)
        image = torch.zeros(*shape, voxels.features.shape[1], dtype=voxels.features.dtype)
        image[coordinates] = voxels.features
        self.image = image.permute(0, 4, 1, 2, 3)
        self.mask = torch.zeros(shape, dtype=torch.bool)
        self.mask[coordinates] = True

    def convolve(self, conv: nn.Module, stride: tuple[int, ...], padding: tuple[int, ...]) -> None:
        weight, ones = conv.weight.permute(0, 4, 1, 2, 3), torch.ones(1, 1, *conv.kernel, dtype=self.image.dtype)
        if isinstance(conv, SparseConv):
            reached = conv3d(self.mask[:, None].to(ones.dtype), ones, stride=stride, padding=padding)
            self.mask = reached[:, 0] > 0.5
        image = conv3d(self.image, weight, conv.bias, stride=stride, padding=padding)
        self.image = image * self.mask[:, None]

    def normalize(self, norm: SparseNorm) -> None:
        statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
        self.image = batch_norm(self.image, *statistics, eps=norm.eps) * self.mask[:, None]

    def layer(self, layer: nn.Module) -> None:
        if isinstance(layer, SubmanifoldResidualBlock):
            before = self.image
            self.convolve(layer.conv1, (1, 1, 1), (1, 1, 1))
            self.normalize(layer.norm1)
            self.image = self.image.relu()
            self.convolve(layer.conv2, (1, 1, 1), (1, 1, 1))
            self.normalize(layer.norm2)
            self.image = (before + self.image).relu()
            return
        same = isinstance(layer, SubmanifoldLayer)
        self.convolve(layer.conv, *([(1, 1, 1)] * 2 if same else [layer.conv.stride, layer.conv.padding]))
        self.normalize(layer.norm)
        self.image = self.image.relu()


@pytest.mark.parametrize("residual", [False, True])
def test_equals_the_same_network_on_dense_tensors(residual: bool) -> None:
    cfg = tiny(residual=residual).model
    torch.manual_seed(0)
    network = VoxelBackbone(5, cfg).double().eval()
    for norm in network.modules():
        if isinstance(norm, SparseNorm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 1.5)
    cell = torch.randperm(2 * 25 * 16 * 12)[:400].sort().values
    voxels = SparseTensor(torch.randn(400, 5, dtype=torch.float64), Sites(cell, (25, 16, 12), 2))
    reference = Dense(voxels)
    with torch.no_grad():
        ours = network(voxels)
        for layer in network.input.layers:
            reference.layer(layer)
        for strided, stage in zip(network.strided, network.stages, strict=True):
            for layer in (strided, *stage.layers):
                reference.layer(layer)
        reference.layer(network.output)
    assert ours.shape == (2, 16, 4, 3)
    torch.testing.assert_close(ours, reference.image.flatten(1, 2))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("counts", [(300, 0, 200), (0, 250), (0, 0), (1, 0)])
def test_frames_do_not_see_each_other(residual: bool, counts: tuple[int, ...]) -> None:
    frames = [random_points(np.random.default_rng(i), n) for i, n in enumerate(counts)]
    model = build(tiny(residual=residual)).eval()
    with torch.no_grad():
        together = model(batch_of(frames))
        assert together.heatmap.shape == (len(counts), 2, 8, 10)
        for position, points in enumerate(frames):
            alone = model(batch_of([points]))
            for name in MAPS:
                torch.testing.assert_close(getattr(together, name)[position], getattr(alone, name)[0])


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("counts", [(400, 0, 300), (0, 0), (1, 0)])
def test_every_parameter_gets_a_finite_gradient(residual: bool, counts: tuple[int, ...]) -> None:
    model = build(tiny(residual=residual)).train()
    maps = model(batch_of([random_points(np.random.default_rng(0), n) for n in counts]))
    sum(getattr(maps, name).square().mean() for name in MAPS).backward()
    assert all(buffer.isfinite().all() for buffer in model.buffers())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias before a norm has no effect: in the blocks, and the first one of the head's branches.
        if sum(counts) > 1 and not ("conv" in name and name.endswith("bias")) and not name.endswith("0.bias"):
            assert parameter.grad.abs().sum() > 0, name


def test_channels_last_equals_contiguous() -> None:
    batch = batch_of([random_points(np.random.default_rng(0), 400)])
    values = tiny(residual=True).model_dump()
    with torch.no_grad():
        last, contiguous = (
            build(Config.model_validate({**values, "train": {"channels_last": flag}})).eval()(batch)
            for flag in (True, False)
        )
    for name in MAPS:
        torch.testing.assert_close(getattr(last, name), getattr(contiguous, name), **NETWORK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": {"upper": [9.5, 8, 4]}}, "39 x 32 cells are not a multiple of the sparse backbone's stride 4"),
        ({"grid": {"cell": [0.5, 0.5, 6]}}, "1 cells along z are too few for 3 sparse stages"),
        ({"model": {"layers": [1, 1]}}, "must have one length"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, dict[str, object]], message: str) -> None:
    values = tiny(residual=False).model_dump()
    for section, settings in change.items():
        values[section] = {**values[section], **settings}
    with pytest.raises(ValueError, match=message):
        Config.model_validate(values)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["centerpoint_voxel", "centerpoint_voxel_residual"])
def test_training_step_at_full_width(name: str) -> None:
    """On a quarter of the ground, which takes a third of the time."""
    quarter = ("grid.lower=[-37.6,-37.6,-2]", "grid.upper=[37.6,37.6,4]")
    recipe = build_recipe(load_config(CONFIGS / f"{name}.yaml", quarter))
    box, one = np.array([[10, 5, 1, 4.7, 2.1, 1.7, 0.3]], np.float32), np.ones(1, np.int64)
    truth = GroundTruth(box, 0 * one, one, one, np.array(["t"]), np.zeros((1, 2), np.float32)).to("cpu")
    batch = batch_of([lidar_cloud(60_000)], [truth])
    losses = recipe.criterion(recipe.model(batch), recipe.assign(batch), progress=0.0)
    losses.total.backward()
    assert losses.total.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in recipe.model.parameters())


def test_compiled_equals_eager() -> None:
    """The compiler takes over from the image on; sparse layers differ in size from batch to batch."""
    model = build(tiny(residual=True)).eval()
    with torch.no_grad():
        for seed in range(2):
            batch = batch_of([random_points(np.random.default_rng(seed), 200 + seed)])
            compiled = torch.compile(model, backend="aot_eager")(batch)
            torch.testing.assert_close(compiled.heatmap, model(batch).heatmap)


def test_checkpointed_stages_have_the_same_gradients() -> None:
    batch = batch_of([random_points(np.random.default_rng(0), 400)])
    found = []
    for checkpointed in (False, True):
        model = build(tiny(residual=True)).train()
        if checkpointed:
            enable_checkpointing(model)
        model(batch).heatmap.square().mean().backward()
        found.append([model.encoder.input.layers[0].conv.weight.grad, *model.buffers()])
    torch.testing.assert_close(*found, atol=0, rtol=0)
