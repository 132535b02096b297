"""Losses of a centre head: of its boxes, of their overlap with the objects, and all of them together."""
