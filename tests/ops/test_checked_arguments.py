"""Arguments that would make a kernel read or write outside its arrays are a ValueError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pcdet_poly.ops.iou import iou_3d, iou_3d_matched, iou_bev, iou_bev_matched
from pcdet_poly.ops.scatter import scatter_max, scatter_mean


@pytest.mark.parametrize("measure", [iou_bev, iou_3d, iou_bev_matched, iou_3d_matched])
@pytest.mark.parametrize("shape", [(3, 5), (3, 8), (7,), (3, 7, 1)])
def test_boxes_of_another_shape(measure: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"IoU: boxes"):
        measure(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("scatter", [scatter_mean, scatter_max])
@pytest.mark.parametrize(
    ("values", "voxel_of_point", "num_voxels"),
    [
        (torch.zeros(3, 2), torch.tensor([0, 1, 2]), 2),
        (torch.zeros(3, 2), torch.tensor([0, 1, 1 << 40]), 2),
        (torch.zeros(1, 2), torch.tensor([0]), 0),
        (torch.zeros(3, 2), torch.tensor([0, 1, 1, 1]), 2),
        (torch.zeros(3, 2), torch.tensor([0, 1]), 2),
        (torch.zeros(3), torch.tensor([0, 1, 1]), 2),
        (torch.zeros(3, 2), torch.tensor([0, 1, 1]), -1),
    ],
)
def test_points_of_voxels_that_are_not_there(
    scatter: Callable[[Tensor, Tensor, int], Tensor], values: Tensor, voxel_of_point: Tensor, num_voxels: int
) -> None:
    with pytest.raises(ValueError, match=r"scatter: "):
        scatter(values, voxel_of_point, num_voxels)
