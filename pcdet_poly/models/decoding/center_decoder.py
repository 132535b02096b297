"""CenterMaps -> Detections: cells of the heatmap, their boxes, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pcdet_poly.config.sections.output import DecodeConfig, PeakRule
from pcdet_poly.models.decoding.suppress import pass_score, select_detections
from pcdet_poly.ops.center_box_coder import decode_center_boxes
from pcdet_poly.structures import CellValues, Detections, Grid


class GroupMaps(Protocol):
    """What a centre head says of the classes of one group: maps of all cells, or a way to compute some cells' boxes."""

    @property
    def heatmap(self) -> Tensor:
        """(B, K, H, W) logits."""

    def read_cells(self, cell: Tensor, wanted: Tensor) -> CellValues:
        """Return what the branches say of cells (B, N), where they are `wanted` (B, N)."""


class HeadMaps(Protocol):
    """Output of a centre head with one group of classes or several."""

    def list_groups(self) -> Sequence[Sequence[int]]:
        """List the classes of each group, ascending."""

    def split_groups(self) -> Sequence[GroupMaps]:
        """Return the maps of each group."""


class FoundBoxes(NamedTuple):
    """N boxes in each of B frames."""

    box: Tensor  # (B, N, 7)
    label: Tensor  # (B, N)
    ranked: Tensor  # (B, N) scores that they compete with
    score: Tensor  # (B, N) classification scores
    velocity: Tensor  # (B, N, 2), or (B, N, 0) where the head has none


class CenterDecoder:
    """Detections of a centre head whose output map has the cells of `grid`, in float32.

    `cfg` says which cells may become boxes (`find_candidates`), and which scores and centres a box needs. Where
    `cfg.iou_weight` is a number a, scores become score ** (1 - a) * IoU ** a before boxes compete.
    """

    def __init__(self, grid: Grid, cfg: DecodeConfig) -> None:
        self.grid = grid
        self.cfg = cfg

    @torch.no_grad()
    def __call__(self, maps: HeadMaps) -> tuple[Detections, ...]:
        """One Detections per frame, by descending score, tensors on the device of `maps`."""
        box, label, ranked, score, velocity = self.find_boxes(maps)
        return tuple(
            select_detections(
                Detections(box[b], label[b], ranked[b], velocity[b] if velocity.shape[2] else None),
                score[b],
                self.cfg,
            )
            for b in range(len(box))
        )

    def find_boxes(self, maps: HeadMaps) -> FoundBoxes:
        """Find the boxes of all groups, before scores, places and suppression select among them."""
        groups = zip(maps.split_groups(), maps.list_groups(), strict=True)
        found = [self._find_group_boxes(group, classes) for group, classes in groups]
        return FoundBoxes(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))

    def _find_group_boxes(self, maps: GroupMaps, classes: Sequence[int]) -> FoundBoxes:
        """Find the boxes of one group's maps, whose classes have these numbers."""
        peaks = self.cfg.peaks
        rules = peaks if isinstance(peaks, str) else tuple(peaks[k] for k in classes)
        logit, cell, place = find_candidates(maps.heatmap.float(), self.cfg.model_copy(update={"peaks": rules}))
        label, score = torch.tensor(classes, device=cell.device)[place], logit.sigmoid()
        code, iou, velocity = maps.read_cells(cell, pass_score(score, self.cfg))
        box = decode_center_boxes(code, cell, self.grid)  # (B, N, 7)
        ranked = self._rank_boxes(score, iou, label)
        return FoundBoxes(box, label, ranked, score, box[..., :0] if velocity is None else velocity)

    def _rank_boxes(self, score: Tensor, iou: Tensor | None, label: Tensor) -> Tensor:
        """Return the scores (B, N) that boxes compete with."""
        if self.cfg.iou_weight is None:
            return score
        assert iou is not None
        return weigh_by_iou(score, (iou[..., 0] + 1) / 2, label, self.cfg.iou_weight)


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


def find_candidates(heatmap: Tensor, cfg: DecodeConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Find the cells that may become boxes.

    Args:
        heatmap: (B, K, H, W) logits.
        cfg: says which cells count (`peaks`), of what (`candidates`), and how many of them are taken (`top_k`).

    Returns:
        Logit, cell (y * W + x) and class of each candidate, all (B, N). Where there are fewer than N, and for cells
        that are no candidates, the logit is -inf.
    """
    num_frames, num_classes, _, _ = heatmap.shape
    logit = keep_peaks(heatmap, cfg.peaks).flatten(2)  # (B, K, H * W)
    if cfg.candidates == "per_class":
        best, cell = logit.topk(_count_candidates(logit, cfg), dim=2)  # (B, K, k)
        label = torch.arange(num_classes, device=heatmap.device)[:, None].expand_as(best[0]).reshape(-1)
        return best.flatten(1), cell.flatten(1), label.expand(num_frames, -1)
    if cfg.candidates == "best_class":
        logit, of_cell = logit.max(dim=1)  # (B, H * W)
        best, cell = logit.topk(_count_candidates(logit, cfg), dim=1)
        return best, cell, of_cell.gather(1, cell)
    num_cells = logit.shape[2]
    best, number = logit.flatten(1).topk(_count_candidates(logit.flatten(1), cfg), dim=1)
    return best, number % num_cells, number // num_cells


def keep_peaks(heatmap: Tensor, rule: PeakRule | Sequence[PeakRule]) -> Tensor:
    """Keep the logits (B, K, H, W) of cells that are candidates by the rule, or by that of their class; others: -inf.

    By `3x3`, the highest of a class within 3 x 3 cells are, ties included; by `none`, all are.
    """
    rules = [rule] * heatmap.shape[1] if isinstance(rule, str) else rule
    if "3x3" not in rules:
        return heatmap
    is_free = torch.tensor([each == "none" for each in rules], device=heatmap.device)[:, None, None]
    return torch.where((heatmap == max_of_neighbours(heatmap)) | is_free, heatmap, -torch.inf)


def _count_candidates(logit: Tensor, cfg: DecodeConfig) -> int:
    """How many of the logits (..., N) to take: `cfg.top_k`, or as many as have the score at most."""
    if cfg.top_k is not None:
        return min(cfg.top_k, logit.shape[-1])
    count = pass_score(logit.sigmoid(), cfg).sum(dim=-1).max().item()  # torch.export takes no int() of a tensor
    assert isinstance(count, int | torch.SymInt)
    return count


def max_of_neighbours(image: Tensor) -> Tensor:
    """Compute the maximum over 3 x 3 cells of (..., H, W); cells beyond the edge do not count.

    Maxima of columns, then of rows, take a tenth of the time of max_pool2d on a CPU, which also notes where each
    maximum was.
    """
    padded = nn.functional.pad(image.contiguous(), (1, 1, 1, 1), value=-torch.inf)
    columns = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return torch.maximum(torch.maximum(columns[..., :-2, :], columns[..., 1:-1, :]), columns[..., 2:, :])
