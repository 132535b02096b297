"""Ground truth -> CenterTargets: a Gaussian and a box code at the cell of each object's centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pcdet_poly.config.sections.output import TargetsConfig
from pcdet_poly.ops.center_box_coder import encode_center_boxes
from pcdet_poly.ops.heatmap import draw_heatmap
from pcdet_poly.structures import CenterTargets, Grid, GroundTruth
from pcdet_poly.targets.gaussian_radius import gaussian_radius
from pcdet_poly.targets.labelled_boxes import concatenate_boxes


class CenterAssigner:
    """Targets of a centre head whose output map has the cells of `grid`.

    An object is a target if its centre lies in `grid` and its sizes are positive; where a frame has more than
    `max_objects` of those, the ones nearest to the vehicle are. `border` may cut the offset in the map's last half
    cell, pull objects beyond the map to its border, or truncate cells towards 0. Objects that share a cell and class
    are all targets: the heatmap has one peak there, and their codes follow each other.
    """

    def __init__(self, grid: Grid, num_classes: int, cfg: TargetsConfig) -> None:
        self.grid = grid
        self.num_classes = num_classes
        self.cfg = cfg

    def __call__(
        self, ground_truth: Sequence[GroundTruth], *, vehicle_from_world: Tensor | None = None
    ) -> CenterTargets:
        """The targets, on the device of the boxes, with the objects in the order given, frame by frame.

        Args:
            ground_truth: the labelled objects of B frames, as tensors.
            vehicle_from_world: (B, 3, 3) turns directions in the world into directions in the vehicle frame.
                Where it is given, velocities are among the targets.

        Returns:
            Targets of N objects.
        """
        frame, box, label = concatenate_boxes(ground_truth)
        nx, ny, _ = self.grid.shape
        inside = self._is_target(box, frame, len(ground_truth))
        frame, box, label = frame[inside], box[inside], label[inside]
        centre = self._locate_centres(box)  # (N, 2) x, y in cells
        cell = centre.trunc() if self.cfg.border == "truncate" else centre.floor()
        column, row = cell.long().unbind(dim=1)
        heatmap = draw_heatmap(
            frame, label, column, row, self._compute_radius(box), (len(ground_truth), self.num_classes, ny, nx)
        )
        velocity = None
        if vehicle_from_world is not None:
            speed = torch.cat([rows.speed for rows in ground_truth])[inside]
            velocity = rotate_into_vehicle_frame(speed, vehicle_from_world[frame])
        return CenterTargets(
            heatmap=heatmap,
            frame=frame,
            cell=row * nx + column,
            label=label,
            code=encode_center_boxes(box, centre - cell),
            velocity=velocity,
            box=None if self.cfg.border == "exact" else box,
        )

    def _locate_centres(self, box: Tensor) -> Tensor:
        """Centres (N, 2) along x and y, in cells, as the rule for the border wants them."""
        centre = self._measure_in_cells(box)
        if self.cfg.border in ("exact", "truncate"):
            return centre
        last = box.new_tensor(self.grid.shape[:2]) - 0.5
        return centre.minimum(last) if self.cfg.border == "cut" else centre.clamp_min(0).minimum(last)

    def _measure_in_cells(self, box: Tensor) -> Tensor:
        """Centres (N, 2) along x and y, in cells."""
        # PillarNeXt measures in float64, which decides the cell of centres at an edge.
        place = box[:, :2].double() if self.cfg.border == "truncate" else box[:, :2]
        lower, cell = place.new_tensor(self.grid.lower[:2]), place.new_tensor(self.grid.cell[:2])
        return ((place - lower) / cell).to(box.dtype)

    def _lies_in_map(self, box: Tensor) -> Tensor:
        """Whether centres lie in the map, seen from above: (N,) bool."""
        centre = self._measure_in_cells(box)
        centre = centre.trunc() if self.cfg.border == "truncate" else centre
        return ((centre >= 0) & (centre < box.new_tensor(self.grid.shape[:2]))).all(dim=1)

    def _compute_radius(self, box: Tensor) -> Tensor:
        """Radius (N,) of each object's Gaussian, in cells, rounded down."""
        dx, dy, _ = self.grid.cell
        radius = gaussian_radius(
            box[:, 3] / dx, box[:, 4] / dy, min_overlap=self.cfg.min_overlap, corrected=self.cfg.radius == "corrected"
        )
        return radius.long().clamp_min(self.cfg.min_radius)

    def _is_target(self, box: Tensor, frame: Tensor, num_frames: int) -> Tensor:
        """Which boxes (N,) are targets."""
        inside = (box[:, 3:6] > 0).all(dim=1)
        if self.cfg.border != "pull_in":
            inside &= self._lies_in_map(box)
        if self.cfg.border in ("exact", "cut"):
            inside &= (box[:, 2] >= self.grid.lower[2]) & (box[:, 2] < self.grid.upper[2])
        if len(box) <= self.cfg.max_objects:
            return inside
        return inside & (_rank_by_distance(box, frame, inside, num_frames) < self.cfg.max_objects)


def rotate_into_vehicle_frame(speed: Tensor, vehicle_from_world: Tensor) -> Tensor:
    """Velocities along the world's x and y (N, 2), level, turned by (N, 3, 3) into the vehicle's x and y (N, 2)."""
    return (vehicle_from_world[:, :2, :2] @ speed[:, :, None])[:, :, 0]


def _rank_by_distance(box: Tensor, frame: Tensor, inside: Tensor, num_frames: int) -> Tensor:
    """How many objects of the same frame inside the grid are nearer, (N,); those outside rank last."""
    distance = torch.where(inside, box[:, :2].norm(dim=1), torch.inf)
    order = torch.argsort(distance, stable=True)
    order = order[torch.argsort(frame[order], stable=True)]  # by frame, then by distance
    first = torch.searchsorted(frame[order], torch.arange(num_frames, device=box.device))
    rank = torch.empty_like(frame)
    rank[order] = torch.arange(len(box), device=box.device) - first[frame[order]]
    return rank
