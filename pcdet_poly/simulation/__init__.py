"""A LiDAR simulator: procedural streets seen by Waymo's five LiDARs, as Waymo's own records."""

from pcdet_poly.simulation.segment import simulate_segment

__all__ = ["simulate_segment"]
