"""Columns of Waymo v2's Parquet components, as the official converter writes them.

A dataset is a folder with a folder per component, which holds a file per segment:
`<component>/<segment>.parquet`. Rows of different components belong together by their keys, never by
their place: segment, timestamp of the frame, and the LiDAR or the object.
"""

from __future__ import annotations

import pyarrow as pa

SEGMENT, TIMESTAMP, LASER, OBJECT = (
    "key.segment_context_name",
    "key.frame_timestamp_micros",
    "key.laser_name",  # 1 TOP, 2 FRONT, 3 SIDE_LEFT, 4 SIDE_RIGHT, 5 REAR
    "key.laser_object_id",
)
RETURNS = ("[LiDARComponent].range_image_return1", "[LiDARComponent].range_image_return2")
PIXEL_POSE = "[LiDARPoseComponent].range_image_return1"
EXTRINSIC = "[LiDARCalibrationComponent].extrinsic.transform"
INCLINATION = "[LiDARCalibrationComponent].beam_inclination"
WORLD_FROM_VEHICLE = "[VehiclePoseComponent].world_from_vehicle.transform"
LABEL = "[LiDARBoxComponent]"
BOX = tuple(
    f"{LABEL}.box.{name}" for name in ("center.x", "center.y", "center.z", "size.x", "size.y", "size.z", "heading")
)
STATS = "[StatsComponent]"
CONTEXT = ("time_of_day", "location", "weather")


def _list_type(kind: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", kind))


def _fixed_list_type(kind: pa.DataType, length: int) -> pa.DataType:
    return pa.list_(pa.field("element", kind), length)


def _image_columns(name: str) -> dict[str, pa.DataType]:
    return {f"{name}.values": _list_type(pa.float32()), f"{name}.shape": _fixed_list_type(pa.int32(), 3)}


_FRAME = {SEGMENT: pa.string(), TIMESTAMP: pa.int64()}
_MATRIX = _fixed_list_type(pa.float64(), 16)  # 4 x 4, row by row

# Component -> its columns, in the official order.
SCHEMAS: dict[str, pa.Schema] = {
    "lidar": pa.schema(_FRAME | {LASER: pa.int8()} | _image_columns(RETURNS[0]) | _image_columns(RETURNS[1])),
    "lidar_pose": pa.schema(_FRAME | {LASER: pa.int8()} | _image_columns(PIXEL_POSE)),
    "lidar_calibration": pa.schema(
        {
            SEGMENT: pa.string(),
            LASER: pa.int8(),
            EXTRINSIC: _MATRIX,
            f"{INCLINATION}.min": pa.float64(),
            f"{INCLINATION}.max": pa.float64(),
            f"{INCLINATION}.values": _list_type(pa.float64()),
        }
    ),
    "lidar_box": pa.schema(
        _FRAME
        | {OBJECT: pa.string()}
        | dict.fromkeys(BOX, pa.float64())
        | {f"{LABEL}.type": pa.int8()}
        | {f"{LABEL}.{name}": pa.int64() for name in ("num_lidar_points_in_box", "num_top_lidar_points_in_box")}
        | {f"{LABEL}.{name}.{axis}": pa.float64() for name in ("speed", "acceleration") for axis in "xyz"}
        | {f"{LABEL}.difficulty_level.{task}": pa.int8() for task in ("detection", "tracking")}
    ),
    "stats": pa.schema(
        _FRAME
        | {f"{STATS}.{name}": pa.string() for name in CONTEXT}
        | {
            f"{STATS}.{sensor}_object_counts.{name}": _list_type(kind)
            for sensor in ("lidar", "camera")
            for name, kind in (("types", pa.int8()), ("counts", pa.int32()))
        }
    ),
    "vehicle_pose": pa.schema(_FRAME | {WORLD_FROM_VEHICLE: _MATRIX}),
}
