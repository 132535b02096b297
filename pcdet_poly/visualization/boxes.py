"""Boxes -> corners and edges in space."""

from __future__ import annotations

import numpy as np

# Pairs of `box_corners`: bottom, top, uprights; then a line along the bottom from the centre to the front.
EDGES = np.array(
    [
        *((0, 1), (1, 2), (2, 3), (3, 0)),
        *((4, 5), (5, 6), (6, 7), (7, 4)),
        *((0, 4), (1, 5), (2, 6), (3, 7)),
        (8, 9),
    ]
)


def bev_corners(box: np.ndarray) -> np.ndarray:
    """Return the corners of boxes (N, 7) from above, (N, 4, 2): front left, rear left, rear right, front right."""
    length, width, heading = box[:, 3], box[:, 4], box[:, 6]
    along = np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (length / 2)[:, None]  # (N, 2)
    across = np.stack([-np.sin(heading), np.cos(heading)], axis=-1) * (width / 2)[:, None]
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return np.stack([box[:, :2] + a * along + b * across for a, b in signs], axis=1)


def box_corners(box: np.ndarray) -> np.ndarray:
    """Return ten points of each of the boxes (N, 7), (N, 10, 3), which `EDGES` connects.

    They are four corners of the bottom (front left, rear left, rear right, front right), four of the top, the
    bottom's centre, and the middle of its front edge.
    """
    around = bev_corners(box)  # (N, 4, 2)
    flat = np.concatenate([around, around, box[:, None, :2], around[:, [0, 3]].mean(axis=1, keepdims=True)], axis=1)
    half = box[:, 5:6] / 2 * np.array([-1, -1, -1, -1, 1, 1, 1, 1, -1, -1])  # (N, 10)
    return np.concatenate([flat, (box[:, 2:3] + half)[..., None]], axis=-1)


def box_lines(box: np.ndarray) -> np.ndarray:
    """Return both ends of every edge of the boxes (N, 7), (N, 13, 2, 3)."""
    return box_corners(box)[:, EDGES]
