"""Batch -> maps of logits -> detections."""

from pcdet_poly.models.recipe import Recipe, build_recipe

__all__ = ["Recipe", "build_recipe"]
