"""Maps -> Detections: peaks of the heatmap, their boxes, non-maximum suppression per class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pcdet_poly.config.output import DecodeConfig
from pcdet_poly.ops.nms import nms_per_class
from pcdet_poly.structures import CenterMaps, Detections, Grid


class CenterDecoder:
    """Detections of a centre head whose output map has the cells of `grid`, in float32.

    A peak is a cell whose logit is the highest of its class within 3 x 3 cells, ties included. Per
    frame and class, the `top_k` highest peaks with at least score `cfg.score` become boxes.
    """

    def __init__(self, grid: Grid, cfg: DecodeConfig) -> None:
        self.grid = grid
        self.cfg = cfg

    @torch.no_grad()
    def __call__(self, maps: CenterMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        logit, cell, label = top_peaks(maps.heatmap.float(), self.cfg.top_k)  # each (B, K * k)
        code = maps.box_code().flatten(2).gather(2, cell[:, None].expand(-1, 8, -1))  # (B, 8, K * k)
        box = decode_boxes(code.float().transpose(1, 2), cell, self.grid)  # (B, K * k, 7)
        found = zip(box, logit.sigmoid(), label, strict=True)
        return tuple(self._suppress(*frame) for frame in found)

    def _suppress(self, box: Tensor, score: Tensor, label: Tensor) -> Detections:
        good = score >= self.cfg.score
        found = Detections(box=box[good], label=label[good], score=score[good])
        kept = nms_per_class(found.box, found.score, found.label, self.cfg.nms_iou)
        return found[kept[: self.cfg.max_detections]]


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


def decode_boxes(code: Tensor, cell: Tensor, grid: Grid) -> Tensor:
    """Codes (..., 8) as CenterTargets.code, of cells (...) -> boxes (..., 7).

    Log sizes are cut to +-5 (7 mm to 148 m), so that a network gone astray gives no infinite box.
    """
    offset, z, size, heading = torch.split(code, [2, 1, 3, 2], dim=-1)
    row_column = torch.stack([cell % grid.shape[0], cell // grid.shape[0]], dim=-1)
    centre = (row_column + offset) * offset.new_tensor(grid.cell[:2]) + offset.new_tensor(grid.lower[:2])
    heading_rad = torch.atan2(heading[..., 0], heading[..., 1])
    return torch.cat([centre, z, size.clamp(-5, 5).exp(), heading_rad[..., None]], dim=-1)
