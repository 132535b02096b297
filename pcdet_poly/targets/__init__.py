"""Ground truth -> what a head should have said."""

from pcdet_poly.targets.anchor_grid import AnchorGrid
from pcdet_poly.targets.anchors import AnchorAssigner
from pcdet_poly.targets.center import CenterAssigner
from pcdet_poly.targets.gaussian import gaussian_radius
from pcdet_poly.targets.rsn import assign_points, assign_voxels

__all__ = ["AnchorAssigner", "AnchorGrid", "CenterAssigner", "assign_points", "assign_voxels", "gaussian_radius"]
