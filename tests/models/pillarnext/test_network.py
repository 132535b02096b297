"""PillarNeXt-B: its size, its parts on sparse pillars, and what its settings refuse."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pcdet_poly.config.load import load_config
from pcdet_poly.config.sections.backbone import SparseBackboneConfig
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.models.decoding.mirror_flips import average_maps, mirror_back
from pcdet_poly.models.export.network import export_onnx
from pcdet_poly.models.layers.pillarnext.aspp_neck import Pyramid
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone
from pcdet_poly.models.summary.model_size import summarize
from pcdet_poly.structures import Batch, CenterMaps, GroundTruth, Sites, SparseTensor
from tests.models.overfit import overfit_bev_ap
from tests.models.scenes import batch_of, random_points, tiny_config
from tests.tolerances import NETWORK

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
SMALL = {
    "kind": "centerpoint_pillar",
    "encoder_channels": [8, 8],
    "sparse": {"channels": [8, 8, 8], "strides": [1, 2, 2], "blocks": [1, 1, 1], "out_channels": 16},
    "aspp": {"dilations": [1, 2]},
    "groups": [["PEDESTRIAN"], ["VEHICLE"]],
    "head_up": 2,
    "head_width": 8,
    "iou_branch": True,
    "velocity": True,
}


def small_recipe(**model: object):
    torch.manual_seed(0)
    grid = {"lower": [-10, -8, -2], "upper": [10, 8, 4], "cell": [0.5, 0.5, 6]}
    return build_recipe(tiny_config(grid=grid, model={**SMALL, **model}, decode={"preset": "ours"}))


@pytest.mark.parametrize("name", ["pillarnext", "pillarnext_3frames", "pillarnext_100", "published/pillarnext"])
def test_parameters_are_those_of_its_authors_code(name: str) -> None:
    summary = summarize(load_config(CONFIGS / f"{name}.yaml"))
    parts = {"encoder": 4_608, "sparse": 6_524_288, "backbone": 2_229_760, "head": 713_881}
    assert (summary.parameters, summary.total_parameters) == (parts, 9_472_537)
    assert summary.bev_cells == (256, 256)
    # Theirs has 2 x 413 GMAC. Ours composes the pyramid's kernels, 4 times 9 + 1 products of (256, 256) matrices, and
    # convolves the image by none of the 7 parts that are 1 x 1.
    composed, spared = 2e-9 * (4 * 9 + 1) * 256**3, 2e-9 * 7 * 256**2 * 256**2
    assert summary.dense_gflop == pytest.approx(826 + composed - spared, abs=1)


def test_parameters_of_its_larger_pieces() -> None:
    with torch.device("meta"):
        model = build_recipe(load_config(CONFIGS / "pillarnext.yaml")).model
    sizes = {
        "sparse.stages.0": 184_960,
        "sparse.stages.1": 664_832,
        "sparse.stages.2": 2_656_768,
        "sparse.stages.3": 2_951_680,
        "backbone.stages.0": 1_180_672,
        "head.shared": 147_648,
        "head.groups.0": 282_828,
        "head.groups.1": 283_405,
        "head.groups.0.up": 16_512,
    }
    for name, size in sizes.items():
        assert sum(each.numel() for each in model.get_submodule(name).parameters()) == size, name


def test_sparse_stages_are_dense_convolutions_of_an_image_with_holes() -> None:
    """Where nothing is active, the dense image is put back to 0: a submanifold convolution has its input's cells."""
    torch.manual_seed(1)
    cfg = SparseBackboneConfig(channels=(6, 8), strides=(1, 2), blocks=(1, 2), out_channels=5)
    backbone = SparsePillarBackbone(4, cfg).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    cell = torch.randperm(2 * 16 * 20)[:60].sort().values
    pillars = SparseTensor(torch.randn(60, 4), Sites(cell, (1, 16, 20), 2))
    image, active = torch.zeros(2 * 320, 4), torch.zeros(2 * 320)
    image[cell], active[cell] = pillars.features, 1
    image, active = image.view(2, 16, 20, 4).permute(0, 3, 1, 2), active.view(2, 1, 16, 20)

    def apply(conv: nn.Module, norm: nn.Module, image: torch.Tensor, stride: int = 1) -> torch.Tensor:
        kernel = conv.weight[:, 0].permute(0, 3, 1, 2)
        moved = nn.functional.conv2d(image, kernel, stride=stride, padding=1)
        return nn.functional.batch_norm(moved, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)

    with torch.no_grad():
        for stage, stride in zip(backbone.stages, cfg.strides, strict=True):
            active = (nn.functional.conv2d(active, torch.ones(1, 1, 3, 3), stride=stride, padding=1) > 0).float()
            image = apply(stage.strided.conv, stage.strided.norm, image, stride).relu() * active
            for block in stage.blocks.layers:
                hidden = apply(block.conv1, block.norm1, image).relu() * active
                image = (image + apply(block.conv2, block.norm2, hidden)).relu() * active
        norm, point = backbone.norm, backbone.output.weight[:, :, None, None]
        wanted = nn.functional.conv2d(image, point)
        wanted = (
            nn.functional.batch_norm(
                wanted, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3
            ).relu()
            * active
        )
        torch.testing.assert_close(backbone(pillars), wanted, **NETWORK)


def test_frames_do_not_see_each_other_and_may_be_empty() -> None:
    model, rng = small_recipe().model.eval(), np.random.default_rng(0)
    one, two = random_points(rng, 300), random_points(rng, 100)
    with torch.no_grad():
        both = model(batch_of([one, np.zeros((0, 5), np.float32), two]))
        for frame, points in ((0, one), (2, two)):
            alone = model(batch_of([points]))
            for name in ("heatmap", "offset", "velocity", "iou"):
                torch.testing.assert_close(getattr(both, name)[frame], getattr(alone, name)[0], **NETWORK)
    assert both.group_of_class == (1, 0)
    assert (both.heatmap.shape, both.offset.shape) == ((3, 2, 16, 20), (3, 4, 16, 20))
    assert both.heatmap.isfinite().all()


def test_a_step_reaches_every_parameter_whatever_the_head_start() -> None:
    for start in ("kaiming", "torch"):
        recipe, rng = small_recipe(head_start=start), np.random.default_rng(1)
        box = np.array([[2, 1, 0, 4, 2, 1.5, 0.3], [-3, 2, 0, 1, 1, 1.7, 0]], np.float32)
        count, track, speed = np.ones(2, np.int64), np.full(2, "a"), np.ones((2, 2), np.float32)
        truth = GroundTruth(box, np.array([0, 1]), count, count, track, speed).to("cpu")
        batch = replace(batch_of([random_points(rng, 300)], [truth]), vehicle_from_world=torch.eye(3)[None])
        recipe.criterion(recipe.model(batch), recipe.assign(batch)).total.backward()
        assert all(each.grad is not None for each in recipe.model.parameters())
        assert recipe.counts(recipe.assign(batch)) == {}


def test_groups_of_mirrored_maps_stay_apart() -> None:
    """Each group's maps are mirrored as they would be alone."""
    model, rng = small_recipe().model.eval(), np.random.default_rng(2)
    with torch.no_grad():
        maps: CenterMaps = model(batch_of([random_points(rng, 200)]))
    whole = average_maps([mirror_back(maps, view) for view in ((1, 1), (1, -1), (-1, 1))])
    for group, part in enumerate(maps.split_groups()):
        alone = average_maps([mirror_back(part, view) for view in ((1, 1), (1, -1), (-1, 1))])
        for name in ("heatmap", "offset", "z", "size", "heading", "iou", "velocity"):
            assert torch.equal(getattr(whole.split_groups()[group], name), getattr(alone, name)), name


def test_detections_of_groups_have_the_classes_numbers() -> None:
    recipe = small_recipe()
    maps = recipe.model.eval()(batch_of([random_points(np.random.default_rng(3), 200)]))
    heatmap = torch.full_like(maps.heatmap, -9)
    heatmap[0, 0, 3, 4], heatmap[0, 1, 8, 9] = 4, 3  # a vehicle, of the second group, and a pedestrian, of the first
    z = torch.zeros_like(maps.z)
    z[:, 0], z[:, 1] = 1.5, 0.5  # of the groups
    (found,) = recipe.decode(replace(maps, heatmap=heatmap, z=z, offset=torch.zeros_like(maps.offset)))
    assert found.label.tolist() == [0, 1]
    torch.testing.assert_close(found.box[:, :3], torch.tensor([[-6.0, -5.0, 0.5], [-1.0, 0.0, 1.5]]))


def test_sparse_models_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="operations that ONNX lacks"):
        export_onnx(small_recipe().model, tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model.groups=[[VEHICLE],[PEDESTRIAN]]"], r"model\.groups: .*name each of VEHICLE, PEDESTRIAN, CYCLIST once"),
        (["model.groups=[[VEHICLE,CYCLIST],[PEDESTRIAN,CYCLIST]]"], r"model\.groups: .* once"),
        (["model.head_up=3"], r"model\.head_up = 3: cells of the head's input are 8 of the grid's"),
        (["model.backbone.channels=[8,8,8]"], r"model\.backbone: model\.aspp takes its place"),
        (["model.sparse.blocks=[1]"], r"model\.sparse: channels, strides and blocks must have one length"),
        (["grid.upper=[76.5,76.8,10]"], r"grid: 2044 x 2048 cells are not a multiple of the sparse stages' stride 8"),
        (["model.velocity=false"], r"regression\.(weight_velocity|velocity_mean): needs model\.velocity: true"),
        (["regression.iou_regression=none", "regression.weight_iou_regression=2"], r"needs iou_regression: aligned or"),
        (
            ["model.sparse=null", "model.head_up=1", "model.sparse_backend=spconv"],
            r"without `sparse` nothing is sparse",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(overrides: list[str], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        load_config(CONFIGS / "pillarnext.yaml", overrides)


def test_parts_are_options_of_the_other_networks() -> None:
    """ASPP and groups on voxels and on dense pillars; the output has as many cells as the settings say."""
    for model in (
        {"aspp": {}, "sparse": None, "head_up": 1, "kind": "centerpoint_pillar"},
        {
            "kind": "centerpoint_voxel",
            "channels": [8, 8],
            "layers": [1, 1],
            "out_channels": 8,
            "aspp": {},
            "head_up": 2,
        },
    ):
        wanted = {name: value for name, value in SMALL.items() if name not in ("sparse", "encoder_channels", "kind")}
        if model["kind"] == "centerpoint_pillar":
            wanted["encoder_channels"] = [8, 8]
        z = 0.5 if model["kind"] == "centerpoint_voxel" else 6
        grid = {"lower": [-10, -8, -2], "upper": [10, 8, 4], "cell": [0.5, 0.5, z]}
        recipe = build_recipe(tiny_config(grid=grid, model={**wanted, **model}))
        batch: Batch = batch_of([random_points(np.random.default_rng(0), 200)])
        assert recipe.model(batch).heatmap.shape == (1, 2, 32, 40)
        assert len(recipe.decode(recipe.model.eval()(batch))) == 1


@pytest.mark.slow
def test_the_slim_form_learns_four_frames(four_frames: Path) -> None:
    near = ("grid.lower=[-12.8,-12.8,-3]", "grid.upper=[12.8,12.8,5]", "evaluation.within=[-12.8,-12.8,12.8,12.8]")
    more = ("train.mixed_precision=false", "train.learning_rate=6e-3")
    ap = overfit_bev_ap(CONFIGS / "slim_pillarnext.yaml", four_frames, 56, *near, *more, one_order=True)
    assert len(ap) == 3
    assert min(ap.values()) >= 0.95, ap


def test_a_pyramid_is_what_its_authors_write() -> None:
    """Parts side by side, joined by a 1 x 1 convolution; values and gradients in float64."""
    torch.manual_seed(0)
    pyramid, image = Pyramid(6, [1, 3, 5]).double(), torch.randn(2, 6, 11, 9, dtype=torch.float64, requires_grad=True)
    wide = [nn.functional.conv2d(image, pyramid.kernel, padding=step, dilation=step) for step in pyramid.dilations]
    theirs = pyramid.norm(pyramid.output(torch.cat([image, pyramid.point(image), *wide], dim=1))).relu()
    ours, given = pyramid(image), [image, *pyramid.parameters()]
    torch.testing.assert_close(ours, theirs)
    factor = torch.randn_like(ours)
    gradients = [torch.autograd.grad((maps * factor).sum(), given) for maps in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_a_pyramids_kernels_are_not_rounded_before_they_are_composed() -> None:
    """Each term of a sum, of up to 33, is rounded at most as often as there are terms, by 2 ** -24 of all terms' sizes.

    bfloat16 would round by 2 ** -8.
    """
    torch.manual_seed(0)
    pyramid = Pyramid(16, [1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        kernels = pyramid.compose_kernels()
    exact = deepcopy(pyramid).double()
    wanted = exact.compose_kernels()
    for parameter in exact.parameters():
        parameter.data.abs_()
    assert kernels.dtype == torch.float32
    assert ((kernels - wanted).abs() <= (33 + 1) * 2**-24 * exact.compose_kernels()).all()
