"""Simulated LiDARs: where they sit, their rays, what the rays hit and what the sensor reports."""
