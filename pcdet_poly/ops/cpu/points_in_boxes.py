"""Which points lie in which boxes, on the CPU."""

from pcdet_poly.ops.arrays.points_in_boxes import count_points as count_points
from pcdet_poly.ops.arrays.points_in_boxes import first_box as first_box
