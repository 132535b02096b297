"""Ground truth -> the targets that a head's output is compared with."""

from pcdet_poly.targets.anchor_assigner import AnchorAssigner
from pcdet_poly.targets.anchor_grid import AnchorGrid
from pcdet_poly.targets.center_assigner import CenterAssigner
from pcdet_poly.targets.gaussian_radius import gaussian_radius
from pcdet_poly.targets.rsn_assigner import assign_rsn_points, assign_rsn_voxels

__all__ = [
    "AnchorAssigner",
    "AnchorGrid",
    "CenterAssigner",
    "assign_rsn_points",
    "assign_rsn_voxels",
    "gaussian_radius",
]
