"""Messages of Waymo's `Frame` that LiDAR detection needs; every other field is left out.

Names and numbers are those of Waymo Open Dataset 1.6.7 (dataset.proto, label.proto). `Frame.lasers` and
its messages are here for writing; `waymo/decode.py` reads range images in place.
"""

from __future__ import annotations

from pcdet_poly.protos.build import build_messages

FILE_NAME = "pcdet_poly/dataset.proto"

_CLASSES = build_messages(
    FILE_NAME,
    {
        "MatrixShape": {"dims": "1 repeated int32"},
        "MatrixFloat": {"data": "1 packed float", "shape": "2 MatrixShape"},
        "MatrixInt32": {"data": "1 packed int32", "shape": "2 MatrixShape"},
        "Transform": {"transform": "1 repeated double"},  # 4 x 4, row by row
        "LaserCalibration": {
            "name": "1 int32",  # 1 TOP, 2 FRONT, 3 SIDE_LEFT, 4 SIDE_RIGHT, 5 REAR
            "beam_inclinations": "2 repeated double",
            "beam_inclination_min": "3 double",
            "beam_inclination_max": "4 double",
            "extrinsic": "5 Transform",
        },
        "Context": {
            "name": "1 string",
            "laser_calibrations": "3 repeated LaserCalibration",
            "stats": "4 Context.Stats",
        },
        "Context.Stats": {"time_of_day": "2 string", "location": "3 string", "weather": "4 string"},
        "RangeImage": {
            "range_image_compressed": "2 bytes",
            "camera_projection_compressed": "3 bytes",
            "range_image_pose_compressed": "4 bytes",
        },
        "Laser": {"name": "1 int32", "ri_return1": "2 RangeImage", "ri_return2": "3 RangeImage"},
        "Label": {
            "box": "1 Label.Box",
            "metadata": "2 Label.Metadata",
            "type": "3 int32",  # 1 vehicle, 2 pedestrian, 3 sign, 4 cyclist
            "id": "4 string",
            "detection_difficulty_level": "5 int32",
            "tracking_difficulty_level": "6 int32",
            "num_lidar_points_in_box": "7 int32",
            "num_top_lidar_points_in_box": "13 int32",
            "most_visible_camera_name": "11 string",
            "camera_synced_box": "12 Label.Box",
        },
        "Label.Box": {
            "center_x": "1 double",
            "center_y": "2 double",
            "center_z": "3 double",
            "width": "4 double",
            "length": "5 double",
            "height": "6 double",
            "heading": "7 double",
        },
        "Label.Metadata": {
            "speed_x": "1 double",
            "speed_y": "2 double",
            "accel_x": "3 double",
            "accel_y": "4 double",
            "speed_z": "5 double",
            "accel_z": "6 double",
        },
        "Polygon2dProto": {"x": "1 repeated double", "y": "2 repeated double", "id": "3 string"},
        "Frame": {
            "context": "1 Context",
            "timestamp_micros": "2 int64",
            "pose": "3 Transform",
            "lasers": "5 repeated Laser",
            "laser_labels": "6 repeated Label",
            "no_label_zones": "7 repeated Polygon2dProto",
        },
    },
)

MatrixShape = _CLASSES["MatrixShape"]
MatrixFloat = _CLASSES["MatrixFloat"]
MatrixInt32 = _CLASSES["MatrixInt32"]
Transform = _CLASSES["Transform"]
LaserCalibration = _CLASSES["LaserCalibration"]
Context = _CLASSES["Context"]
RangeImage = _CLASSES["RangeImage"]
Laser = _CLASSES["Laser"]
Label = _CLASSES["Label"]
Polygon2dProto = _CLASSES["Polygon2dProto"]
Frame = _CLASSES["Frame"]
