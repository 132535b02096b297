"""Boxes -> corners and edges in space."""

from __future__ import annotations

import numpy as np

from pcdet_poly.visualization.bev import bev_corners

# Pairs of `box_corners`: bottom, top, uprights; then a line along the bottom from the centre to the front.
EDGES = np.array(
    [
        *((0, 1), (1, 2), (2, 3), (3, 0)),
        *((4, 5), (5, 6), (6, 7), (7, 4)),
        *((0, 4), (1, 5), (2, 6), (3, 7)),
        (8, 9),
    ]
)


def box_corners(box: np.ndarray) -> np.ndarray:
    """(N, 7) boxes to (N, 10, 3): four corners of the bottom (front left, rear left, rear right, front right), four
    of the top, the bottom's centre, the middle of its front edge."""
    around = bev_corners(box)  # (N, 4, 2)
    flat = np.concatenate([around, around, box[:, None, :2], around[:, [0, 3]].mean(axis=1, keepdims=True)], axis=1)
    half = box[:, 5:6] / 2 * np.array([-1, -1, -1, -1, 1, 1, 1, 1, -1, -1])  # (N, 10)
    return np.concatenate([flat, (box[:, 2:3] + half)[..., None]], axis=-1)


def box_lines(box: np.ndarray) -> np.ndarray:
    """(N, 7) boxes to (N, 13, 2, 3): both ends of every edge."""
    return box_corners(box)[:, EDGES]
