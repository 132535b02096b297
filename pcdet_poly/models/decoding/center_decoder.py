"""Maps -> Detections: peaks of the heatmap, their boxes, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.output import DecodeConfig
from pcdet_poly.models.decoding.suppress import suppress
from pcdet_poly.ops.center_code import decode_boxes
from pcdet_poly.structures import CenterMaps, Detections, Grid


class CenterDecoder:
    """Detections of a centre head whose output map has the cells of `grid`, in float32.

    A peak is a cell whose logit is the highest of its class within 3 x 3 cells, ties included. Per
    frame and class, the `top_k` highest peaks with at least score `cfg.score` become boxes. Where
    `cfg.iou_weight` says a, their score becomes score ** (1 - a) * IoU ** a before boxes compete.
    """

    def __init__(self, grid: Grid, cfg: DecodeConfig) -> None:
        self.grid = grid
        self.cfg = cfg

    @torch.no_grad()
    def __call__(self, maps: CenterMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        logit, cell, label = top_peaks(maps.heatmap.float(), self.cfg.top_k)  # each (B, K * k)
        box = decode_boxes(at_peaks(maps.box_code(), cell), cell, self.grid)  # (B, K * k, 7)
        velocity = None if maps.velocity is None else at_peaks(maps.velocity, cell)  # (B, K * k, 2)
        score = logit.sigmoid()
        ranked = self._ranked(score, maps.iou, cell, label)
        found = (
            Detections(box[b], label[b], ranked[b], None if velocity is None else velocity[b])[
                score[b] >= self.cfg.score
            ]
            for b in range(len(box))
        )
        return tuple(suppress(frame, self.cfg) for frame in found)

    def _ranked(self, score: Tensor, iou: Tensor | None, cell: Tensor, label: Tensor) -> Tensor:
        """Scores (B, N) that boxes compete with."""
        if self.cfg.iou_weight is None:
            return score
        assert iou is not None
        return rescored(score, (at_peaks(iou, cell)[..., 0] + 1) / 2, label, self.cfg.iou_weight)


def rescored(score: Tensor, iou: Tensor, label: Tensor, weight: float | Sequence[float]) -> Tensor:
    """score ** (1 - a) * IoU ** a, all (...), with IoU cut to [0, 1]; a is `weight`, or that of the label."""
    share = score.new_tensor(weight)
    share = share[label] if share.ndim else share
    return score ** (1 - share) * iou.clamp(0, 1) ** share


def at_peaks(values: Tensor, cell: Tensor) -> Tensor:
    """Maps (B, C, H, W) at cells (B, N) -> (B, N, C) float32."""
    wanted = cell[:, None].expand(-1, values.shape[1], -1)
    return values.flatten(2).gather(2, wanted).float().transpose(1, 2)


def top_peaks(heatmap: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Heatmap logits (B, K, H, W) -> logit, cell (y * W + x) and class, each (B, K * k), k <= top_k peaks per class.

    Where a class has fewer peaks its rows are filled up with logits of -inf.
    """
    num_frames, num_classes, _, _ = heatmap.shape
    peaks = torch.where(heatmap == highest_around(heatmap), heatmap, -torch.inf).flatten(2)  # (B, K, H * W)
    logit, cell = peaks.topk(min(top_k, peaks.shape[2]), dim=2)  # (B, K, k)
    label = torch.arange(num_classes, device=heatmap.device)[:, None].expand_as(logit[0]).reshape(-1)
    return logit.flatten(1), cell.flatten(1), label.expand(num_frames, -1)


def highest_around(image: Tensor) -> Tensor:
    """Maximum over 3 x 3 cells of (..., H, W); cells beyond the edge do not count.

    Columns, then rows: a tenth of the time of max_pool2d on a CPU, which also notes where each maximum was.
    """
    padded = nn.functional.pad(image.contiguous(), (1, 1, 1, 1), value=-torch.inf)
    columns = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return torch.maximum(torch.maximum(columns[..., :-2, :], columns[..., 1:-1, :]), columns[..., 2:, :])
