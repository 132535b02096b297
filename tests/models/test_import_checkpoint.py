"""Weights of other projects give our network their outputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pcdet_poly.config.schema import Config
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.models.import_checkpoint import convert
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Batch, Grid, GroundTruth
from tests.models.foreign import Blocks, CenterPointHead, Foreign, PcdetAnchorHead, PcdetHead, Vfe
from tests.tolerances import NETWORK

BACKBONE = {"layers": [1, 1], "strides": [1, 2], "channels": [8, 10], "up_strides": [1, 2], "up_channels": [6, 6]}
SIZES = (8, [1, 1], [1, 2], [8, 10], [1, 2])
CONFIG = {
    "grid": {"lower": [-3.2, -3.2, -2], "upper": [3.2, 3.2, 4], "cell": [0.8, 0.8, 6]},
    "model": {"kind": "centerpoint_pillar", "encoder_channels": [8, 8], "backbone": BACKBONE, "head_width": 8},
}
GRID = Grid((-3.2, -3.2, -2.0), (3.2, 3.2, 4.0), (0.8, 0.8, 6.0))


def batch() -> Batch:
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(-3, 3, (200, 5)).astype(np.float32))
    frame = torch.zeros(200, dtype=torch.int64)
    return Batch(points, frame, (GroundTruth.empty().to("cpu"),), ("a/0",))


def decorated(batch: Batch, centre_axes: int, any_height: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Points with offsets to their pillar's mean and centre (x y, or x y z), pillar of each, cells of pillars."""
    voxels = voxelize(batch.points, batch.frame_of_point, GRID, 1, any_height=any_height)
    kept = voxels.voxel_of_point >= 0
    points, pillar = batch.points[kept], voxels.voxel_of_point[kept]
    mean = torch.stack([points[pillar == i, :3].mean(dim=0) for i in range(len(voxels))])
    place = voxels.coordinates()[:, [3, 2, 1]].float()
    centre = torch.tensor(GRID.lower) + (place + 0.5) * torch.tensor(GRID.cell)
    offsets = (points[:, :3] - centre[pillar])[:, :centre_axes]
    return torch.cat([points, points[:, :3] - mean[pillar], offsets], dim=1), pillar, voxels.cell


def foreign_maps(network: nn.Module, encoder: str, neck: str, head: str, *axes: int) -> dict[str, Tensor]:
    points, pillar, cell = decorated(batch(), *axes)
    network.eval()
    with torch.no_grad():
        image = torch.zeros(1, 8, 64)
        image[0, :, cell] = network.get_submodule(encoder)(points, pillar, len(cell)).T
        return network.get_submodule(head)(network.get_submodule(neck)(image.reshape(1, 8, 8, 8)))


def ours(weights: dict[str, Tensor]):
    model = build_recipe(Config.model_validate(CONFIG)).model
    conversion = convert(weights, model.state_dict())
    assert conversion.missing == ()
    model.load_state_dict({**model.state_dict(), **conversion.weights})
    model.eval()
    with torch.no_grad():
        return conversion, model(batch())


def pcdet() -> Foreign:
    torch.manual_seed(1)
    return Foreign(vfe=Vfe(11, (8, 8)), backbone_2d=Blocks(*SIZES, False), dense_head=PcdetHead(12, 8, 3))


def centerpoint() -> Foreign:
    torch.manual_seed(2)
    return Foreign(reader=Vfe(10, (8, 8)), neck=Blocks(*SIZES, True), bbox_head=CenterPointHead(12, 8, 3))


def test_openpcdet_gives_the_same_maps() -> None:
    network = pcdet()
    theirs = foreign_maps(network, "vfe", "backbone_2d", "dense_head", 3)
    conversion, maps = ours({**network.state_dict(), "global_step": torch.zeros(1, dtype=torch.int64)})
    assert conversion.project == "OpenPCDet"
    for name, key in (("heatmap", "hm"), ("offset", "center"), ("z", "center_z"), ("size", "dim")):
        torch.testing.assert_close(getattr(maps, name), theirs[key], **NETWORK)
    torch.testing.assert_close(maps.heading[:, 0], theirs["rot"][:, 1], **NETWORK)  # theirs: cos, sin
    torch.testing.assert_close(maps.heading[:, 1], theirs["rot"][:, 0], **NETWORK)


def test_centerpoint_gives_the_same_boxes() -> None:
    network = centerpoint()
    theirs = foreign_maps(network, "reader", "neck", "bbox_head", 2)
    conversion, maps = ours(network.state_dict())
    assert conversion.project == "CenterPoint"
    for name, key in (("heatmap", "hm"), ("offset", "reg"), ("z", "height")):
        torch.testing.assert_close(getattr(maps, name), theirs[key], **NETWORK)
    torch.testing.assert_close(maps.size, theirs["dim"][:, [1, 0, 2]], **NETWORK)  # theirs: width first
    angle = torch.atan2(theirs["rot"][:, 0], theirs["rot"][:, 1])  # theirs, clockwise from -y
    heading = torch.atan2(maps.heading[:, 0], maps.heading[:, 1])
    turn = torch.remainder(heading - (-angle - math.pi / 2) + math.pi, 2 * math.pi) - math.pi
    assert turn.abs().max() < NETWORK["atol"] / 0.1  # an angle is off by the outputs' error over their length


def test_anchor_head() -> None:
    parts = {"vfe": Vfe(11, (8, 8)), "backbone_2d": Blocks(*SIZES, False), "dense_head": PcdetAnchorHead(12, 6, 3)}
    network = Foreign(**parts)
    backbone = {key: value for key, value in CONFIG["model"].items() if key in ("encoder_channels", "backbone")}
    model = build_recipe(Config.model_validate(CONFIG | {"model": {"kind": "pointpillars", **backbone}})).model
    conversion = convert(network.state_dict(), model.state_dict())
    assert conversion.missing == ()
    assert torch.equal(conversion.weights["head.code.weight"], network.dense_head.conv_box.weight)


def test_every_tensor_has_a_line() -> None:
    network = pcdet()
    conversion, _ = ours({**network.state_dict(), "stranger.weight": torch.zeros(1)})
    assert {line.source for line in conversion.lines} == {*network.state_dict(), "stranger.weight"}
    unused = {line.source for line in conversion.lines if not line.used}
    assert unused == {"stranger.weight", *(name for name in network.state_dict() if "num_batches" in name)}


def test_what_is_missing_is_named_and_what_does_not_fit_is_refused() -> None:
    weights = pcdet().state_dict()
    model = build_recipe(Config.model_validate(CONFIG)).model.state_dict()
    del weights["vfe.pfn_layers.1.linear.weight"]
    assert convert(weights, model).missing == ("encoder.layers.1.linear.weight",)
    weights["vfe.pfn_layers.1.linear.weight"] = torch.zeros(9, 8)
    with pytest.raises(UserError, match=r"is \(9, 8\).* is \(8, 8\)"):
        convert(weights, model)


def sparse_names(project: str, residual: bool) -> dict[str, str]:
    """Their name of each convolution and norm -> ours."""
    names: dict[str, str] = {}
    if project == "OpenPCDet":
        prefix, last, first_block = "backbone_3d.", "conv_out", 1
    else:
        prefix, last, first_block = "backbone.", "extra_conv", 3

    def pair(theirs: tuple[str, str], ours: str) -> None:
        names[prefix + theirs[0]], names[prefix + theirs[1]] = f"{ours}.conv", f"{ours}.norm"

    def block(theirs: str, ours: str) -> None:
        for k in (1, 2):
            names[f"{prefix}{theirs}.conv{k}"] = f"{ours}.conv{k}"
            names[f"{prefix}{theirs}.bn{k}"] = f"{ours}.norm{k}"

    pair(("conv_input.0", "conv_input.1"), "encoder.input.layers.0")
    pair((f"{last}.0", f"{last}.1"), "encoder.output")
    if residual:
        for k in range(2):
            block(f"conv1.{k}", f"encoder.input.layers.{k + 1}")
    else:
        pair(("conv1.0.0", "conv1.0.1"), "encoder.input.layers.1")
    for stage in range(3):
        there = f"conv{stage + 2}"
        nested = project == "OpenPCDet"
        pair((f"{there}.0.0", f"{there}.0.1") if nested else (f"{there}.0", f"{there}.1"), f"encoder.strided.{stage}")
        for k in range(2):
            ours = f"encoder.stages.{stage}.layers.{k}"
            if residual:
                block(f"{there}.{k + first_block}", ours)
            else:
                pair((f"{there}.{k + 1}.0", f"{there}.{k + 1}.1"), ours)
    return names


@pytest.mark.parametrize("spconv", [1, 2])
@pytest.mark.parametrize(("project", "residual"), [("OpenPCDet", False), ("OpenPCDet", True), ("CenterPoint", True)])
def test_sparse_backbones(project: str, residual: bool, spconv: int) -> None:
    torch.manual_seed(0)
    cfg = {"grid": {"lower": [-6.4, -6.4, -2], "upper": [6.4, 6.4, 4], "cell": [0.1, 0.1, 0.15]}}
    model = build_recipe(Config.model_validate(cfg | {"model": {"kind": "centerpoint_voxel", "residual": residual}}))
    wanted = {name: value for name, value in model.model.state_dict().items() if name.startswith("encoder.")}
    names = sparse_names(project, residual)
    theirs = {
        f"{there}.{name.removeprefix(ours + '.')}": value
        for there, ours in names.items()
        for name, value in wanted.items()
        if name.startswith(ours + ".")
    }
    assert len(theirs) == len(wanted)
    if spconv == 1:
        theirs = {name: v.permute(1, 2, 3, 4, 0).contiguous() if v.ndim == 5 else v for name, v in theirs.items()}
    # One name of the head tells the projects apart where their sparse parts are called alike.
    sign = {"OpenPCDet": "dense_head.shared_conv.0.bias", "CenterPoint": "bbox_head.shared_conv.0.bias"}[project]
    conversion = convert({**theirs, sign: torch.zeros(64)}, model.model.state_dict())
    assert conversion.project == project
    for name, value in wanted.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(conversion.weights[name], value), name
