"""Ground truth -> RsnTargets of the points, and RsnVoxelTargets of the voxels that the network chose."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.ops.points_in_boxes import points_in_boxes
from pcdet_poly.structures import Batch, RsnMaps, RsnTargets, RsnVoxelTargets
from pcdet_poly.targets.labelled_boxes import concatenate_boxes

AGE_COLUMN = 5  # of Batch.points, where there are several sweeps
PEAK = 1 - 1e-3  # a voxel with more heat counts as its object's peak: RSN, section 3.4


def find_points_with_pixel(batch: Batch) -> Tensor:
    """Rows of `batch.points` that lie in a range image: (S,) int64, ascending."""
    assert batch.range_images is not None
    return (batch.range_images.pixel_of_point >= 0).nonzero()[:, 0]


def mark_points_in_boxes(batch: Batch) -> Tensor:
    """Which of the points with a pixel lie in a labelled box of their frame: (S,) bool."""
    point = find_points_with_pixel(batch)
    points, frame = batch.points[point, :3], batch.frame_of_point[point]
    num_points = torch.bincount(frame, minlength=batch.size).tolist()  # frames ascend
    parts = zip(torch.split(points, num_points), batch.ground_truth, strict=True)
    return torch.cat([points_in_boxes(own, truth.box) >= 0 for own, truth in parts])


def assign_rsn_points(batch: Batch) -> RsnTargets:
    """The targets of points, which do not depend on what the network does."""
    frame, box, _ = concatenate_boxes(batch.ground_truth)
    foreground = mark_points_in_boxes(batch)
    age = batch.points[find_points_with_pixel(batch), AGE_COLUMN:]  # (S, 0 or 1)
    return RsnTargets(foreground=foreground, counted=(age == 0).all(dim=1), frame=frame, box=box)


def assign_rsn_voxels(maps: RsnMaps, targets: RsnTargets, *, sigma_m: float) -> RsnVoxelTargets:
    r"""The targets of the voxels that the network chose.

    For a voxel centre v, over the boxes of its frame that contain it:
        max exp(-(|v - c| - least) / sigma^2),  least = min |v' - c| over the voxels v' in that box,
    0 in no box. The voxel nearest to a box's centre c has 1 wherever the points of the object lie.
    With pillars (one layer of voxels) heights do not count, neither for containing nor for distance.
    The paper's minimum is over all voxels; a voxel beside the box that is nearer to its centre than any
    in it would leave the object without a peak. Source: RSN, section 3.4.

    Args:
        maps: output of the network, of which the V voxels are read.
        targets: of the same frames; their N boxes are read.
        sigma_m: width of the heatmap's bumps, metres.

    Returns:
        Targets of V voxels.
    """
    frame = maps.sites.coordinates()[:, 0]
    flat = maps.sites.shape[0] == 1
    if not len(frame) or not len(targets.box):
        return RsnVoxelTargets(maps.centre.new_zeros(len(frame)), maps.centre.new_zeros(len(frame), 7))
    distance = _measure_distance(maps.centre, targets.box, flat=flat)  # (V, N)
    distance = distance.masked_fill(frame[:, None] != targets.frame, torch.inf)
    heat = ((distance.amin(dim=0) - distance) / sigma_m**2).exp().masked_fill(distance.isinf(), 0)
    highest, which = heat.max(dim=1)
    return RsnVoxelTargets(heatmap=torch.where(highest > PEAK, 1.0, highest), box=targets.box[which])


def _measure_distance(centre: Tensor, box: Tensor, *, flat: bool) -> Tensor:
    """Distance (V, N) of points (V, 3) to the centres of boxes (N, 7), inf outside a box; faces are inside."""
    dx, dy, dz = (centre[:, None] - box[:, :3]).unbind(dim=2)  # (V, N) each
    cos, sin = box[:, 6].cos(), box[:, 6].sin()
    inside = ((dx * cos + dy * sin).abs() <= box[:, 3] / 2) & ((dy * cos - dx * sin).abs() <= box[:, 4] / 2)
    square = dx.square() + dy.square()
    if not flat:
        inside &= dz.abs() <= box[:, 5] / 2
        square = square + dz.square()
    return square.sqrt().masked_fill(~inside, torch.inf)
