"""Numba kernels of the metric: overlaps, matchings, counts and average precision of one frame's boxes."""
