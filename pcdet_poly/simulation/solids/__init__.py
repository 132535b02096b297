"""Shapes, meshes and materials that objects of a street are made of."""
