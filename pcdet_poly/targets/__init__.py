"""Ground truth -> what a head should have said."""

from pcdet_poly.targets.center import CenterAssigner
from pcdet_poly.targets.gaussian import gaussian_radius

__all__ = ["CenterAssigner", "gaussian_radius"]
