"""LiDAR 3D detection on the Waymo Open Dataset, with PolyLoss heads. Importing this loads nothing heavy."""

__version__ = "0.1.0"
