"""Waymo's protocol buffer messages, built at run time from their published names and field numbers."""
