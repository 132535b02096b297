"""Maps -> Detections: peaks of the heatmap, their boxes, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.models.decoding.suppress import suppress_boxes
from pcdet_poly.ops.center_box_coder import decode_center_boxes
from pcdet_poly.structures import CenterMaps, Detections, Grid


class CenterDecoder:
    """Detections of a centre head whose output map has the cells of `grid`, in float32.

    A peak is a cell whose logit is the highest of its class within 3 x 3 cells, ties included. In each
    frame and class, the `top_k` highest peaks with at least score `cfg.score` become boxes. Where
    `cfg.iou_weight` is a number a, their score becomes score ** (1 - a) * IoU ** a before boxes compete.
    """

    def __init__(self, grid: Grid, cfg: DecodeConfig) -> None:
        self.grid = grid
        self.cfg = cfg

    @torch.no_grad()
    def __call__(self, maps: CenterMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        logit, cell, label = find_peaks(maps.heatmap.float(), self.cfg.top_k)  # each (B, K * k)
        box = decode_center_boxes(gather_peaks(maps.box_code(), cell), cell, self.grid)  # (B, K * k, 7)
        velocity = None if maps.velocity is None else gather_peaks(maps.velocity, cell)  # (B, K * k, 2)
        score = logit.sigmoid()
        ranked = self._rank_boxes(score, maps.iou, cell, label)
        found = (
            Detections(box[b], label[b], ranked[b], None if velocity is None else velocity[b])[
                score[b] >= self.cfg.score
            ]
            for b in range(len(box))
        )
        return tuple(suppress_boxes(frame, self.cfg) for frame in found)

    def _rank_boxes(self, score: Tensor, iou: Tensor | None, cell: Tensor, label: Tensor) -> Tensor:
        """Return the scores (B, N) that boxes compete with."""
        if self.cfg.iou_weight is None:
            return score
        assert iou is not None
        return weigh_by_iou(score, (gather_peaks(iou, cell)[..., 0] + 1) / 2, label, self.cfg.iou_weight)


def weigh_by_iou(score: Tensor, iou: Tensor, label: Tensor, weight: float | Sequence[float]) -> Tensor:
    """Change scores to score ** (1 - a) * IoU ** a, where a is `weight`, or that of the label.

    Args:
        score: (...) in [0, 1].
        iou: (...) predicted IoU of each box with its object, cut to [0, 1] here.
        label: (...) int64 class of each box.
        weight: a, or one per class, in [0, 1].

    Returns:
        (...) in [0, 1].
    """
    share = score.new_tensor(weight)
    share = share[label] if share.ndim else share
    return score ** (1 - share) * iou.clamp(0, 1) ** share


def gather_peaks(values: Tensor, cell: Tensor) -> Tensor:
    """Gather maps (B, C, H, W) at cells (B, N): (B, N, C) float32."""
    wanted = cell[:, None].expand(-1, values.shape[1], -1)
    return values.flatten(2).gather(2, wanted).float().transpose(1, 2)


def find_peaks(heatmap: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the highest peaks of each class.

    Args:
        heatmap: (B, K, H, W) logits.
        top_k: peaks per frame and class, at most H * W.

    Returns:
        Logit, cell (y * W + x) and class of each peak, all (B, K * k) with k <= top_k. A class with fewer peaks has
        rows with a logit of -inf in their place.
    """
    num_frames, num_classes, _, _ = heatmap.shape
    peaks = torch.where(heatmap == max_of_neighbours(heatmap), heatmap, -torch.inf).flatten(2)  # (B, K, H * W)
    logit, cell = peaks.topk(min(top_k, peaks.shape[2]), dim=2)  # (B, K, k)
    label = torch.arange(num_classes, device=heatmap.device)[:, None].expand_as(logit[0]).reshape(-1)
    return logit.flatten(1), cell.flatten(1), label.expand(num_frames, -1)


def max_of_neighbours(image: Tensor) -> Tensor:
    """Compute the maximum over 3 x 3 cells of (..., H, W); cells beyond the edge do not count.

    Maxima of columns, then of rows, take a tenth of the time of max_pool2d on a CPU, which also notes where each
    maximum was.
    """
    padded = nn.functional.pad(image.contiguous(), (1, 1, 1, 1), value=-torch.inf)
    columns = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return torch.maximum(torch.maximum(columns[..., :-2, :], columns[..., 1:-1, :]), columns[..., 2:, :])
