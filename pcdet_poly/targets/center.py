"""Ground truth -> CenterTargets: a Gaussian and a box code at the cell of each object's centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.ops.center_code import encode_boxes
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.structures import CenterTargets, Grid, GroundTruth
from pcdet_poly.targets.gaussian import gaussian_radius


class CenterAssigner:
    """Targets of a centre head whose output map has the cells of `grid`.

    An object is a target if its centre lies in `grid` and its sizes are positive; of those, each
    frame's `max_objects` nearest to the vehicle. Objects that share a cell and class are all
    targets: the heatmap has one peak there, the codes are listed one after the other.
    """

    def __init__(self, grid: Grid, num_classes: int, cfg: TargetsConfig) -> None:
        self.grid = grid
        self.num_classes = num_classes
        self.cfg = cfg

    def __call__(
        self, ground_truth: Sequence[GroundTruth], *, vehicle_from_world: Tensor | None = None
    ) -> CenterTargets:
        """Targets on the device of the boxes, objects in the order given, frame by frame.

        With `vehicle_from_world` (B, 3, 3), velocities are among them.
        """
        frame, box, label = all_frames(ground_truth)
        nx, ny, _ = self.grid.shape
        inside = self._is_target(box, frame, len(ground_truth))
        frame, box, label = frame[inside], box[inside], label[inside]
        place = self._cells(box)  # (N, 2) centre x, y in cells
        column, row = place.floor().long().unbind(dim=1)
        heatmap = draw_heatmap(
            frame, label, column, row, self._radius(box), (len(ground_truth), self.num_classes, ny, nx)
        )
        velocity = None
        if vehicle_from_world is not None:
            speed = torch.cat([rows.speed for rows in ground_truth])[inside]
            velocity = in_vehicle_frame(speed, vehicle_from_world[frame])
        return CenterTargets(
            heatmap=heatmap,
            frame=frame,
            cell=row * nx + column,
            label=label,
            code=encode_boxes(box, place - place.floor()),
            velocity=velocity,
        )

    def _cells(self, box: Tensor) -> Tensor:
        lower, cell = box.new_tensor(self.grid.lower[:2]), box.new_tensor(self.grid.cell[:2])
        return (box[:, :2] - lower) / cell  # (N, 2)

    def _radius(self, box: Tensor) -> Tensor:
        dx, dy, _ = self.grid.cell
        radius = gaussian_radius(
            box[:, 3] / dx, box[:, 4] / dy, min_overlap=self.cfg.min_overlap, corrected=self.cfg.radius == "corrected"
        )
        return radius.long().clamp_min(self.cfg.min_radius)  # (N,) cells, rounded down

    def _is_target(self, box: Tensor, frame: Tensor, num_frames: int) -> Tensor:
        shape, place = box.new_tensor(self.grid.shape[:2]), self._cells(box)
        inside = ((place >= 0) & (place < shape)).all(dim=1)
        inside &= (box[:, 2] >= self.grid.lower[2]) & (box[:, 2] < self.grid.upper[2]) & (box[:, 3:6] > 0).all(dim=1)
        if len(box) <= self.cfg.max_objects:
            return inside
        return inside & (_rank_by_distance(box, frame, inside, num_frames) < self.cfg.max_objects)


def in_vehicle_frame(speed: Tensor, vehicle_from_world: Tensor) -> Tensor:
    """Speeds along the world's x and y (N, 2), level, through (N, 3, 3) -> along the vehicle's x and y (N, 2)."""
    return (vehicle_from_world[:, :2, :2] @ speed[:, :, None])[:, :, 0]


def all_frames(ground_truth: Sequence[GroundTruth]) -> tuple[Tensor, Tensor, Tensor]:
    """Frame index (N,), box (N, 7) and label (N,) of all objects."""
    box = torch.cat([rows.box for rows in ground_truth])
    label = torch.cat([rows.label for rows in ground_truth])
    count = torch.tensor([len(rows) for rows in ground_truth])
    frame = torch.repeat_interleave(torch.arange(len(count)), count, output_size=len(box))
    return frame.to(box.device, non_blocking=True), box, label


def _rank_by_distance(box: Tensor, frame: Tensor, inside: Tensor, num_frames: int) -> Tensor:
    """(N,) how many objects of the same frame inside the grid are nearer; those outside rank last."""
    distance = torch.where(inside, box[:, :2].norm(dim=1), torch.inf)
    order = torch.argsort(distance, stable=True)
    order = order[torch.argsort(frame[order], stable=True)]  # by frame, then by distance
    first = torch.searchsorted(frame[order], torch.arange(num_frames, device=box.device))
    rank = torch.empty_like(frame)
    rank[order] = torch.arange(len(box), device=box.device) - first[frame[order]]
    return rank
