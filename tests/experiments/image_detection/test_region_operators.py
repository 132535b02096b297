"""nms and RoIAlign against torchvision's own Python and against rules worked out by hand."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from pcdet_poly.experiments.image_detection.region_operators import pool_regions, suppress_boxes

if find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed", allow_module_level=True)
from pcdet_poly.experiments.image_detection import torchvision_parts


def test_a_better_box_hides_those_it_overlaps() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 10.0]])  # of the first two: 9/11
    scores = torch.tensor([0.5, 0.9, 0.1, 0.5])
    assert suppress_boxes(boxes, scores, 0.8).tolist() == [1, 2]
    assert suppress_boxes(boxes, scores, 0.82).tolist() == [1, 0, 2]  # 9/11 is .818; equal boxes: the first stays
    assert suppress_boxes(boxes[:0], scores[:0], 0.5).tolist() == []


def test_a_hidden_box_hides_nothing() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10.0]])  # neighbours: IoU 6/14
    assert suppress_boxes(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_pooling_equals_torchvision(sampling_ratio: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 12, 14, generator=generator, dtype=torch.float64)
    low = torch.rand(9, 2, generator=generator, dtype=torch.float64) * 60
    high = low + torch.rand(9, 2, generator=generator, dtype=torch.float64) * 50
    rois = torch.cat([torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 1])[:, None], low, high.clamp(max=96)], 1)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    arguments = (rois, 0.125, 5, 4, sampling_ratio, aligned)
    reference = sys.modules["torchvision.ops.roi_align"]._roi_align.__wrapped__  # not compiled
    wanted: Tensor = reference(theirs, *arguments)
    found = pool_regions(ours, *arguments)
    # Sums of some dozen products of numbers below 14 in float64: 1e-14 each.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    weight = torch.rand(found.shape, generator=generator, dtype=torch.float64)
    (found * weight).sum().backward()
    (wanted * weight).sum().backward()
    # As above.
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)


def test_no_region_is_an_empty_answer() -> None:
    assert pool_regions(torch.rand(1, 3, 4, 4), torch.zeros(0, 5), 0.5, 7, 7, 2, False).shape == (0, 3, 7, 7)


def test_torchvision_calls_them_where_it_misses_its_own() -> None:
    from torchvision.ops import nms, roi_align

    boxes, scores = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10.0]]), torch.tensor([0.5, 0.9])
    assert nms(boxes, scores, 0.5).tolist() == [1]
    maps = torch.arange(64.0).reshape(1, 1, 8, 8)
    pooled = roi_align(maps, [torch.tensor([[0, 0, 8, 8.0]])], (2, 2), sampling_ratio=2, aligned=True)
    # Samples of a linear map lie at 1, 3, 5 and 7 less a half: bins average .5 and 2.5, 4.5 and 6.5.
    assert pooled.flatten().tolist() == [13.5, 17.5, 45.5, 49.5]
    assert torchvision_parts.MaskRCNN.__module__ == "torchvision.models.detection.mask_rcnn"
