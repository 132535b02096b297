"""What became of each box of a frame, as the metrics count it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FALSE, TRUE, IGNORED, HIDDEN = 0, 1, 2, 3  # of a detection; hidden: its score is below the cut-off
MISSED, FOUND, NOT_COUNTED = 0, 1, 2  # of a label; not counted: no point in it, outside the evaluated area, or left out
LEFT_OUT = -3  # and below, of a detection's partner: a match that counts as nothing, since the headings differ too much
SCORE_STEP = 0.01  # between the cut-offs of a slider


@dataclass(frozen=True)
class Outcomes:
    """Who matches whom at every score cut-off; N detections, M labels, C cut-offs.

    Where a method takes a position among the cut-offs, it takes one for all detections or one for each, (N,).
    """

    cutoffs: np.ndarray  # (C,) float32, ascending
    partner: (
        np.ndarray
    )  # (C, N) int64, the label that a detection matches; -1 none, -2 below the cut-off, LEFT_OUT - label
    ignored: np.ndarray  # (N,) bool: no false alarm where it matches nothing, as it lies in a no-label zone or outside
    counted: np.ndarray  # (M,) bool: the label counts

    def judge_detections(self, cutoff: int | np.ndarray) -> np.ndarray:
        """Return FALSE, TRUE, IGNORED or HIDDEN of each detection, (N,) int64."""
        partner = self._select_partners(cutoff)
        unmatched = np.where(self.ignored | (partner <= LEFT_OUT), IGNORED, FALSE)
        return np.where(partner >= 0, TRUE, np.where(partner == -2, HIDDEN, unmatched))

    def judge_labels(self, cutoff: int | np.ndarray) -> np.ndarray:
        """Return MISSED, FOUND or NOT_COUNTED of each label, (M,) int64."""
        labels, partner = np.arange(len(self.counted)), self._select_partners(cutoff)
        counted = self.counted & ~np.isin(labels, LEFT_OUT - partner)
        return np.where(np.isin(labels, partner), FOUND, np.where(counted, MISSED, NOT_COUNTED))

    def list_changes(self) -> list[list[int]]:
        """List what changes from each cut-off to the next lower one, the highest first.

        Returns:
            Lists of the cut-off's position and, in turn, a detection and its partner from there down, -1 for none.
        """
        before = np.full(self.partner.shape[1], -1)
        changes = []
        for position in range(len(self.cutoffs) - 1, -1, -1):
            now = np.where(self.partner[position] == -2, -1, self.partner[position])
            changed = np.flatnonzero(now != before)
            if len(changed):
                changes.append([position, *np.column_stack([changed, now[changed]]).ravel().tolist()])
            before = now
        return changes

    def select_detections(self, kept: np.ndarray) -> Outcomes:
        """Return the outcomes of those detections alone that `kept` (N,) bool marks; labels keep theirs."""
        return replace(self, partner=self.partner[:, kept], ignored=self.ignored[kept])

    def _select_partners(self, cutoff: int | np.ndarray) -> np.ndarray:
        """Return the label (N,) that each detection matches at its cut-off."""
        return self.partner[cutoff, np.arange(self.partner.shape[1])]


def list_cutoffs_from(min_score: float) -> np.ndarray:
    """List the cut-offs `min_score`, a hundredth more, and so on up to 1, (C,) float32; at least the first."""
    count = 1 + max(0, int((1 - min_score) / SCORE_STEP + 1e-6))
    return np.array([min_score + SCORE_STEP * k for k in range(count)], np.float32)
