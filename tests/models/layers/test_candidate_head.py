"""Boxes of chosen cells are those that maps of all cells have there."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.centerpoint import CenterHeadConfig
from pcdet_poly.models import Recipe, build_recipe
from pcdet_poly.models.centerpoint_pillar import CenterPointPillar
from pcdet_poly.models.fuse import fuse_for_inference, fuse_recipe
from pcdet_poly.models.layers import candidate_head
from pcdet_poly.models.layers.candidate_head import CandidateHead
from pcdet_poly.models.layers.center_head import CenterHead
from pcdet_poly.structures import Batch, CenterMaps
from tests.models.scenes import batch_of, random_points, tiny_config
from tests.tolerances import NETWORK

HEADS = {
    "plain": (CenterHeadConfig(head_width=8), None),
    "all branches": (
        CenterHeadConfig(head_width=8, iou_branch=True, velocity=True, heading="bins", heading_bins=4),
        None,
    ),
    "groups": (CenterHeadConfig(head_width=8, iou_branch=True), (1, 0, 1)),
    "enlarged": (CenterHeadConfig(head_width=8, velocity=True, head_up=2), None),
}


def make_head(cfg: CenterHeadConfig, groups: tuple[int, ...] | None) -> CenterHead:
    """A head whose norms and biases are neither 0 nor 1, folded."""
    torch.manual_seed(0)
    head = CenterHead(6, 3, cfg, groups)
    with torch.no_grad():
        for part in head.modules():
            if isinstance(part, nn.BatchNorm2d | nn.Conv2d):
                for values in (part.weight, part.bias):
                    assert values is not None
                    values.add_(torch.rand_like(values) * 0.5)
    for _ in range(3):
        head(torch.randn(4, 6, 7, 9) + 1)
    return fuse_for_inference(head)  # type: ignore[return-value]


@pytest.mark.parametrize(("cfg", "groups"), HEADS.values(), ids=HEADS.keys())
@torch.no_grad()
def test_every_cell_alone_is_what_the_map_has_there(
    monkeypatch: pytest.MonkeyPatch, cfg: CenterHeadConfig, groups: tuple[int, ...] | None
) -> None:
    monkeypatch.setattr(candidate_head, "DENSE_FROM", 2)  # so many cells would be computed as maps
    monkeypatch.setattr(candidate_head, "CHUNK", 50)
    head = make_head(cfg, groups)
    bev = torch.randn(2, 6, 7, 9)  # borders and corners are most of it
    maps, ours = head(bev), CandidateHead(head)(bev)
    assert [list(classes) for classes in ours.list_groups()] == [list(classes) for classes in maps.list_groups()]
    for group, expected in zip(ours.split_groups(), maps.split_groups(), strict=True):
        torch.testing.assert_close(group.heatmap, expected.heatmap, **NETWORK)
        cell = torch.stack([torch.randperm(expected.heatmap[0, 0].numel()) for _ in range(2)])
        wanted = torch.rand(cell.shape) < 0.7
        for found, right in zip(group.read_cells(cell, wanted), expected.read_cells(cell, wanted), strict=True):
            if right is None:
                assert found is None
                continue
            assert found is not None
            assert found.dtype == torch.float32
            torch.testing.assert_close(found[wanted], right[wanted], **NETWORK)
            assert (found[~wanted] == 0).all()


@torch.no_grad()
def test_few_cells_and_many_are_computed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    group = CandidateHead(make_head(*HEADS["all branches"]))(torch.randn(2, 6, 7, 9)).split_groups()[0]
    cell, wanted = torch.arange(63).expand(2, -1), torch.ones(2, 63, dtype=torch.bool)
    as_maps = group.read_cells(cell, wanted)
    monkeypatch.setattr(candidate_head, "DENSE_FROM", 2)
    for found, right in zip(group.read_cells(cell, wanted), as_maps, strict=True):
        torch.testing.assert_close(found, right, **NETWORK)


@torch.no_grad()
def test_no_cell_at_all() -> None:
    group = CandidateHead(make_head(*HEADS["all branches"]))(torch.randn(2, 6, 7, 9)).split_groups()[0]
    for count in (0, 5):
        code, iou, velocity = group.read_cells(torch.zeros(2, count).long(), torch.zeros(2, count, dtype=torch.bool))
        assert iou is not None
        assert velocity is not None
        assert (code.shape, iou.shape, velocity.shape) == ((2, count, 14), (2, count, 1), (2, count, 2))


def make_recipe(**sections: object) -> tuple[Recipe, Batch]:
    """A detector with a heatmap of which a part passes the score, and frames for it."""
    torch.manual_seed(0)
    cfg = tiny_config(**sections)
    recipe = build_recipe(cfg)
    batch = batch_of([random_points(np.random.default_rng(number), 500) for number in range(2)])
    for _ in range(3):
        recipe.model(batch)
    recipe.model.eval()
    return recipe, batch


@torch.no_grad()
def test_detections_of_a_whole_detector_are_the_same() -> None:
    recipe, batch = make_recipe(decode={"nms": "none", "score": 0.1, "top_k": 40})
    fused = fuse_recipe(recipe)
    assert isinstance(fused.get_submodule("head"), CandidateHead)
    found, expected = recipe.decode(fused(batch)), recipe.decode(recipe.model(batch))
    assert sum(len(frame) for frame in expected) > 10
    for ours, right in zip(found, expected, strict=True):
        assert torch.equal(ours.label, right.label)
        torch.testing.assert_close(ours.score, right.score, **NETWORK)
        torch.testing.assert_close(ours.box[:, :6], right.box[:, :6], **NETWORK)  # headings may be at +-pi


class Own(CenterPointPillar):
    """A user's own detector, whose forward may read any map."""

    def forward(self, batch: Batch) -> CenterMaps:
        """Look at a map that nobody else needs."""
        maps: CenterMaps = super().forward(batch)
        return replace(maps, z=maps.z + 1)


def test_a_detector_of_ones_own_keeps_its_maps() -> None:
    recipe, batch = make_recipe()
    for other in (
        replace(recipe, model=with_class(recipe.model, Own)),
        replace(recipe, decode=lambda maps: maps.z),
    ):
        fused = fuse_recipe(other)
        assert isinstance(fused.get_submodule("head"), CenterHead)
        with torch.no_grad():
            torch.testing.assert_close(fused(batch).z, other.model(batch).z, **NETWORK)


def with_class(model: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """A copy of `model` that is of the class `kind`."""
    copy = deepcopy(model)
    copy.__class__ = kind
    return copy


@torch.no_grad()
def test_in_bfloat16_boxes_are_nearer_to_those_of_float32() -> None:
    head = make_head(*HEADS["all branches"])
    bev = torch.randn(1, 6, 40, 40)
    cell, wanted = torch.randint(1600, (1, 50)), torch.ones(1, 50, dtype=torch.bool)
    exact: Tensor = head(bev).read_cells(cell, wanted).code
    with torch.autocast("cpu", torch.bfloat16):
        maps, candidates = head(bev), CandidateHead(head)(bev)
    dense, ours = (each.split_groups()[0].read_cells(cell, wanted).code for each in (maps, candidates))
    # Both round the shared features; the maps also round hidden values, weights and results.
    assert (ours - exact).square().mean() < (dense - exact).square().mean()
