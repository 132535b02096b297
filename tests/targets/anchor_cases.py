"""Small lattices of anchors and boxes to assign to them."""

from __future__ import annotations

import numpy as np

from pcdet_poly.config.sections.pointpillars import AnchorConfig, PointPillarsConfig
from pcdet_poly.structures import Grid, GroundTruth
from pcdet_poly.targets import AnchorGrid

GRID = Grid((-8.0, -6.0, -2.0), (8.0, 6.0, 4.0), (0.5, 0.75, 6.0))  # 32 x 16 cells
CLASSES = (
    AnchorConfig(name="CAR", size=(4.0, 1.5, 1.6), bottom_z=-1.0, matched=0.55, unmatched=0.4),
    AnchorConfig(name="PERSON", size=(0.9, 0.8, 1.8), bottom_z=-0.5, matched=0.5, unmatched=0.35),
)


def lattice(grid: Grid = GRID, **settings: object) -> AnchorGrid:
    """Anchors of both classes, those of PERSON listed first in the settings."""
    cfg = PointPillarsConfig(anchors=CLASSES[::-1], **settings)
    return AnchorGrid.from_config(grid, cfg, ("CAR", "PERSON"))


def truth(box: object, label: object) -> GroundTruth:
    """Rows of boxes (N, 7) and labels."""
    box = np.asarray(box, np.float32).reshape(-1, 7)
    one = np.ones(len(box), np.int64)
    return GroundTruth(
        box, np.asarray(label, np.int64), one, one, np.full(len(box), "t"), np.zeros((len(box), 2), np.float32)
    ).to("cpu")


def random_truth(rng: np.random.Generator, count: int) -> GroundTruth:
    """Boxes of both classes in and beyond the grid, sizes around the anchors', any heading."""
    label = rng.integers(0, 2, count)
    size = np.array([CLASSES[k].size for k in label]).reshape(-1, 3) * rng.uniform(0.7, 1.4, (count, 3))
    centre = rng.uniform([-9, -7, -2], [9, 7, 3], (count, 3))
    return truth(np.concatenate([centre, size, rng.uniform(-4, 4, (count, 1))], 1), label)
