"""Waymo's own op, run in an environment of its own, and its numbers beside ours."""
