"""AnchorMaps -> Detections: the best anchors, their boxes, non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.models.decoding.suppress import select_detections
from pcdet_poly.ops.anchor_box_coder import decode_anchor_boxes, turn_into_sector
from pcdet_poly.structures import AnchorMaps, Detections
from pcdet_poly.targets import AnchorGrid


class AnchorDecoder:
    """Detections of an anchor head, in float32.

    An anchor's class is the one with the highest score, whichever class it was made for. In each frame, the
    `cfg.top_k` best anchors, with scores and centres as `cfg` wants them, become boxes. The box code gives the
    heading up to whole sectors; the direction output says which sector.
    """

    def __init__(self, anchors: AnchorGrid, cfg: DecodeConfig, *, direction_offset_rad: float) -> None:
        self.anchors = anchors
        self.cfg = cfg
        self.direction_offset_rad = direction_offset_rad

    @torch.no_grad()
    def __call__(self, maps: AnchorMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        return tuple(self._suppress(Detections(*frame)) for frame in zip(*self.find_boxes(maps), strict=True))

    def find_boxes(self, maps: AnchorMaps) -> tuple[Tensor, Tensor, Tensor]:
        """Find the boxes of the best anchors, before scores, places and suppression select among them.

        Returns:
            Boxes (B, k, 7), labels (B, k) and scores (B, k).
        """
        logit, label = maps.logit.float().max(dim=2)  # (B, N)
        assert self.cfg.top_k is not None  # the config sees to it
        best, anchor = logit.topk(min(self.cfg.top_k, logit.shape[1]), dim=1)  # (B, k)
        box = self._decode_boxes(maps, anchor)  # (B, k, 7)
        return box, label.gather(1, anchor), best.sigmoid()

    def _decode_boxes(self, maps: AnchorMaps, anchor: Tensor) -> Tensor:
        code = _gather_anchors(maps.code, anchor).float()
        direction = _gather_anchors(maps.direction, anchor)
        box = decode_anchor_boxes(code, self.anchors.build_boxes(anchor))
        heading_rad = turn_into_sector(
            box[..., 6], direction.argmax(dim=2), direction.shape[2], self.direction_offset_rad
        )
        return torch.cat([box[..., :6], heading_rad[..., None]], dim=2)

    def _suppress(self, found: Detections) -> Detections:
        return select_detections(found, found.score, self.cfg)


def _gather_anchors(values: Tensor, anchor: Tensor) -> Tensor:
    """Gather values (B, N, C) at anchors (B, k): (B, k, C)."""
    return values.gather(1, anchor[..., None].expand(-1, -1, values.shape[2]))
