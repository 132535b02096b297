"""The records that functions of all packages take and return: frozen and checked on construction."""

from pcdet_poly.structures.batch import Batch
from pcdet_poly.structures.boxes import WAYMO_CLASSES, Detections, GroundTruth
from pcdet_poly.structures.frame import POINT_COLUMNS, TOP_LIDAR, Frame, LidarCalibration
from pcdet_poly.structures.grid import Grid
from pcdet_poly.structures.maps import AnchorMaps, CellValues, CenterMaps, RsnMaps, join_groups
from pcdet_poly.structures.range_images import RangeImages
from pcdet_poly.structures.rows import Rows
from pcdet_poly.structures.sparse import Sites, SparseTensor
from pcdet_poly.structures.targets import AnchorTargets, CenterTargets, Losses, RsnTargets, RsnVoxelTargets
from pcdet_poly.structures.voxels import Voxels

__all__ = [
    "POINT_COLUMNS",
    "TOP_LIDAR",
    "WAYMO_CLASSES",
    "AnchorMaps",
    "AnchorTargets",
    "Batch",
    "CellValues",
    "CenterMaps",
    "CenterTargets",
    "Detections",
    "Frame",
    "Grid",
    "GroundTruth",
    "LidarCalibration",
    "Losses",
    "RangeImages",
    "Rows",
    "RsnMaps",
    "RsnTargets",
    "RsnVoxelTargets",
    "Sites",
    "SparseTensor",
    "Voxels",
    "join_groups",
]
