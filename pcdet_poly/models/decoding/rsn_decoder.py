"""RsnMaps -> Detections: local maxima among the voxels that exist, and their boxes."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.models.decoding.suppress import pass_score, select_detections
from pcdet_poly.ops.center_box_coder import SizeCode, decode_sizes
from pcdet_poly.ops.heading_bins import decode_likeliest_heading
from pcdet_poly.ops.rulebook import build_submanifold_rulebook
from pcdet_poly.structures import Detections, RsnMaps, Sites


class RsnDecoder:
    """Detections of RSN, which has one class, in float32.

    A peak is a voxel whose logit is the highest among the voxels that exist around it (3 x 3, or
    3 x 3 x 3), ties included. In each frame, the `top_k` highest with a score as `cfg` wants it become boxes.
    """

    def __init__(self, cfg: DecodeConfig, sizes: SizeCode = "log") -> None:
        self.cfg, self.sizes = cfg, sizes

    @torch.no_grad()
    def __call__(self, maps: RsnMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        logit = maps.heatmap.float()
        peak = (logit == max_of_touching_voxels(maps.sites, logit)) & pass_score(logit.sigmoid(), self.cfg)
        frame = maps.sites.coordinates()[:, 0]
        return tuple(
            self._decode_frame(maps, (peak & (frame == i)).nonzero()[:, 0]) for i in range(maps.sites.num_frames)
        )

    def _decode_frame(self, maps: RsnMaps, voxel: Tensor) -> Detections:
        logit = maps.heatmap[voxel].float()
        assert self.cfg.top_k is not None  # the config sees to it
        best = logit.topk(min(self.cfg.top_k, len(logit))).indices
        box = read_boxes(maps, voxel[best], self.sizes)
        found = Detections(box=box, label=torch.zeros_like(best), score=logit[best].sigmoid())
        return select_detections(found, found.score, self.cfg)


def max_of_touching_voxels(sites: Sites, value: Tensor) -> Tensor:
    """Compute the maximum of `value` (V,) over each voxel and those that touch it, at a corner too: (V,)."""
    rulebook = build_submanifold_rulebook(sites, (1 if sites.shape[0] == 1 else 3, 3, 3))
    return value.scatter_reduce(0, rulebook.output.long(), value[rulebook.input.long()], "amax")


def read_boxes(maps: RsnMaps, voxel: Tensor, sizes: SizeCode) -> Tensor:
    """Read the boxes predicted at some voxels.

    Args:
        maps: output of the network.
        voxel: (N,) int64, positions in its voxels.
        sizes: whether `maps` has logarithms of sizes in metres, or the sizes.

    Returns:
        (N, 7) vehicle frame, sizes cut to 7 mm to 148 m.
    """
    offset, size, heading = (values[voxel].float() for values in (maps.offset, maps.size, maps.heading))
    parts = maps.centre[voxel] + offset, decode_sizes(size, sizes), decode_likeliest_heading(heading)[:, None]
    return torch.cat(parts, dim=1)
