"""Mean and maximum per pillar of 180,000 points, forward and backward: ours and torch's scatter_reduce.

python -m benchmarks.bench_scatter [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.bench_voxelize import PILLARS, draw_cloud
from benchmarks.common import Row, main, median_ms, memory_floor_ms
from pcdet_poly.ops.scatter import scatter_max, scatter_mean, to_bev
from pcdet_poly.ops.voxelize import voxelize

NUM_CHANNELS = 64


def reduce_by_torch(values: Tensor, voxel_of_point: Tensor, num_voxels: int, reduce: str) -> Tensor:
    """The same by torch alone, for points that are all inside."""
    index = voxel_of_point[:, None].expand_as(values)
    start = values.new_zeros(num_voxels, values.shape[1])
    return start.scatter_reduce(0, index, values, reduce, include_self=False)


def rows(device: str) -> Iterator[Row]:
    """Maximum of 64 channels, mean of 3, and the dense image."""
    points = draw_cloud(device)
    voxels = voxelize(points, torch.zeros(len(points), dtype=torch.int64, device=device), PILLARS, 1)
    inside = voxels.voxel_of_point >= 0
    voxel, size = voxels.voxel_of_point[inside].contiguous(), len(voxels)
    values = torch.randn(len(voxel), NUM_CHANNELS, device=device)
    for name, ours, reduce, given in (
        (f"max, {NUM_CHANNELS} channels", scatter_max, "amax", values),
        ("mean, 3 channels", scatter_mean, "mean", points[inside, :3].contiguous()),
    ):
        torch.testing.assert_close(ours(given, voxel, size), reduce_by_torch(given, voxel, size, reduce))
        mine = median_ms(lambda ours=ours, given=given: ours(given, voxel, size), device)
        yield Row(f"{name}: ours", mine, f"{len(voxel)} points, {size} pillars")
        peer = median_ms(lambda given=given, reduce=reduce: reduce_by_torch(given, voxel, size, reduce), device)
        yield Row(f"{name}: torch scatter_reduce", peer, f"{peer / mine:.1f} x ours")
        mine = median_ms(prepare_backward(lambda x, ours=ours: ours(x, voxel, size), given), device)
        yield Row(f"{name}: ours, forward and backward", mine)
        peer = median_ms(
            prepare_backward(lambda x, reduce=reduce: reduce_by_torch(x, voxel, size, reduce), given), device
        )
        yield Row(f"{name}: torch, forward and backward", peer, f"{peer / mine:.1f} x ours")
        floor = memory_floor_ms(given.nbytes + voxel.nbytes + 4 * size * given.shape[1], device)
        yield Row(f"{name}: memory floor, forward", floor)
    features = torch.randn(size, NUM_CHANNELS, device=device)
    yield Row("image, channels last: ours", median_ms(lambda: to_bev(features, voxels, channels_last=True), device))
    yield Row("image, contiguous: ours", median_ms(lambda: to_bev(features, voxels), device))


def prepare_backward(function: Callable[[Tensor], Tensor], values: Tensor) -> Callable[[], object]:
    """A call and its gradient."""
    leaf = values.clone().requires_grad_()
    return lambda: torch.autograd.grad(function(leaf).sum(), leaf)


if __name__ == "__main__":
    main(__doc__, rows)
