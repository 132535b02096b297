"""Every operation as torch sees it: schema, fake kernel, gradient, torch.compile without a graph break."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.ops.iou import iou_3d, iou_bev_matched
from pcdet_poly.ops.nms import circle_nms, nms_per_class
from pcdet_poly.ops.points_in_boxes import count_points, points_in_boxes
from pcdet_poly.ops.scatter import scatter_max, scatter_mean, take_rows, to_bev
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid

GRID = Grid((0.0, 0.0, 0.0), (4.0, 3.0, 1.0), (1.0, 1.0, 1.0))
POINTS = torch.rand(20, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 4.0, 1.0, 1.0])
FRAME = torch.arange(20) % 2
BOX = torch.rand(6, 7, generator=torch.Generator().manual_seed(1)) + 0.5
SCORE, LABEL = torch.arange(6) / 6, torch.arange(6) % 2
VOXEL = torch.tensor([0, 1, 1, -1, 2])


def values() -> Tensor:
    return torch.rand(5, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()


OPERATIONS = {
    "voxelize": (POINTS, FRAME, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [4, 3, 1], 2),
    "keep_first": (VOXEL, torch.tensor([1, 2, 1]), 1),
    "keep_random": (VOXEL, torch.tensor([1, 2, 1]), 1, 5),
    "segment_mean": (values(), VOXEL, 3),
    "segment_max": (values(), VOXEL, 3),
    "segment_sum": (torch.rand(5, 3), VOXEL, 3),
    "take_rows": (values(), torch.tensor([4, 0, 0])),
    "share_among_highest": (torch.ones(3, 3), torch.rand(5, 3), torch.rand(3, 3), VOXEL),
    "pairwise_iou": (BOX, BOX[:4], True),
    "matched_iou": (BOX, BOX, False),
    "suppress_overlapping": (BOX, LABEL, SCORE),
    "suppress_near": (BOX[:, :2].contiguous(), LABEL, SCORE),
    "first_box": (POINTS, BOX),
    "count_points": (POINTS, BOX),
    "draw_heatmap": (LABEL, LABEL, LABEL, LABEL, LABEL, [2, 2, 5, 6]),
}


def test_every_operation_is_checked_here() -> None:
    defined = {name.split("::")[1] for name in torch._C._dispatch_get_all_op_names() if name.startswith("pcdet_poly::")}
    assert defined == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_opcheck(name: str) -> None:
    torch.library.opcheck(getattr(torch.ops.pcdet_poly, name).default, OPERATIONS[name])


def pillar_image(points: Tensor, frame: Tensor) -> Tensor:
    voxels = voxelize(points, frame, GRID, 3, max_points=2, sample="random", seed=1)
    highest = scatter_max(points * 2, voxels.voxel_of_point, len(voxels))
    mean = scatter_mean(points, voxels.voxel_of_point, len(voxels))
    first = scatter_mean(points, voxels.voxel_of_point, len(voxels), max_points=1)
    twice = take_rows(mean, torch.arange(len(voxels)) // 2)
    return to_bev(torch.cat([highest, mean, first, twice], 1), voxels, channels_last=True)


def kept_and_counted(points: Tensor, box: Tensor) -> tuple[Tensor, ...]:
    kept = nms_per_class(box, SCORE, LABEL, (0.1, 0.2))
    near = circle_nms(box, SCORE, 0.3)
    return (
        kept,
        near,
        count_points(points, box),
        points_in_boxes(points, box),
        iou_3d(box, box),
        iou_bev_matched(box, box),
    )


def heatmap(columns: Tensor) -> Tensor:
    return draw_heatmap(*columns, (2, 2, 5, 6))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (pillar_image, (POINTS, FRAME)),
        (kept_and_counted, (POINTS, BOX)),
        (heatmap, (LABEL.repeat(5, 1),)),
    ],
    ids=["pillar_image", "kept_and_counted", "heatmap"],
)
def test_compiles_whole(function: Callable, arguments: tuple[Tensor, ...]) -> None:
    """In one graph, sizes that depend on data included."""
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*arguments), function(*arguments), rtol=0, atol=0)


def test_compiled_gradient() -> None:
    results = []
    for transform in (
        lambda function: function,
        lambda function: torch.compile(function, fullgraph=True, backend="aot_eager"),
    ):
        points = POINTS.clone().requires_grad_()
        with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
            (transform(pillar_image)(points, FRAME) ** 2).sum().backward()
        results.append(points.grad)
    assert results[0].any()
    assert torch.equal(*results)
