"""The sweeps of a batch as images of beams by azimuth, in the way that the LiDAR records them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class RangeImages:
    """I images, one per frame and sweep, and the pixel that each point of the batch falls into."""

    image: Tensor  # (I, 3, H, W) float32 in [0, 1]: range, intensity, elongation; 0 where no point is. Row 0 is highest
    pixel_of_point: Tensor  # (P,) int64: (i * H + row) * W + column; -1 for points of other LiDARs

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> RangeImages:
        """The same images on `device`."""
        return RangeImages(
            image=self.image.to(device, non_blocking=non_blocking),
            pixel_of_point=self.pixel_of_point.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> RangeImages:
        """The same images in page-locked memory."""
        return RangeImages(self.image.pin_memory(), self.pixel_of_point.pin_memory())
