"""Intersection over union of rotated boxes on the CPU."""

from pcdet_poly.ops.arrays.iou import matched_iou as matched_iou
from pcdet_poly.ops.arrays.iou import pairwise_iou as pairwise_iou
