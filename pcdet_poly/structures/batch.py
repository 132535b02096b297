"""Several frames in the form that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcdet_poly.structures.boxes import GroundTruth
from pcdet_poly.structures.range_images import RangeImages

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batch:
    """B frames: their points in one tensor, their labels in one record per frame."""

    points: torch.Tensor  # (P, C) float32: x, y, z, then features scaled for a network
    frame_of_point: torch.Tensor  # (P,) int64 in [0, B), ascending
    ground_truth: tuple[GroundTruth, ...]  # B of them; labels are positions in the config's class list
    frame_ids: tuple[str, ...]  # B of them
    no_label_zones: tuple[tuple[np.ndarray, ...], ...] = ()  # per frame: polygons (K, 2) of x, y in the vehicle frame
    vehicle_from_world: torch.Tensor | None = None  # (B, 3, 3) float32: turns (mirrors, scales) the world's directions
    range_images: RangeImages | None = None  # where the model reads them

    def __post_init__(self) -> None:
        if len(self.points) != len(self.frame_of_point) or len(self.ground_truth) != len(self.frame_ids):
            raise ValueError(
                f"Batch: {len(self.points)} points with {len(self.frame_of_point)} frame indices, "
                f"{len(self.frame_ids)} frames with {len(self.ground_truth)} ground truths"
            )

    @property
    def size(self) -> int:
        """Number of frames B, those without points included."""
        return len(self.frame_ids)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """The same batch on `device`."""

        def move(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=non_blocking)

        return Batch(
            points=self.points.to(device, non_blocking=non_blocking),
            frame_of_point=self.frame_of_point.to(device, non_blocking=non_blocking),
            ground_truth=tuple(rows.to(device, non_blocking=non_blocking) for rows in self.ground_truth),
            frame_ids=self.frame_ids,
            no_label_zones=self.no_label_zones,
            vehicle_from_world=move(self.vehicle_from_world),
            range_images=self.range_images and self.range_images.to(device, non_blocking=non_blocking),
        )
