"""Ground truth -> what a head should have said."""

from pcdet_poly.targets.anchor_grid import AnchorGrid
from pcdet_poly.targets.anchors import AnchorAssigner
from pcdet_poly.targets.center import CenterAssigner
from pcdet_poly.targets.gaussian import gaussian_radius

__all__ = ["AnchorAssigner", "AnchorGrid", "CenterAssigner", "gaussian_radius"]
