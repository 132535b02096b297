"""Messages of Waymo's submissions and of its evaluation tool: `Objects` and `Submission`.

Names and numbers are those of Waymo Open Dataset 1.6.7 (metrics.proto, submission.proto). Enums are int32 on
the wire; their values are listed beside the fields.
"""

from __future__ import annotations

from pcdet_poly.protos import dataset
from pcdet_poly.protos.build import build_messages

FILE_NAME = "pcdet_poly/metrics.proto"

_CLASSES = build_messages(
    FILE_NAME,
    {
        "Object": {
            "object": "1 Label",
            "score": "2 float",
            "overlap_with_nlz": "3 bool",
            "context_name": "4 string",
            "frame_timestamp_micros": "5 int64",
            "camera_name": "6 int32",  # 1 FRONT, 2 FRONT_LEFT, 3 FRONT_RIGHT, 4 SIDE_LEFT, 5 SIDE_RIGHT
        },
        "Objects": {"objects": "1 repeated Object", "no_label_zone_objects": "2 repeated Object"},
        "Submission": {
            "task": "1 int32",  # 1 DETECTION_2D, 2 DETECTION_3D, 5 DOMAIN_ADAPTATION, 6 CAMERA_ONLY_DETECTION_3D
            "account_name": "13 string",
            "unique_method_name": "2 string",
            "authors": "3 repeated string",
            "affiliation": "4 string",
            "description": "5 string",
            "method_link": "6 string",
            "docker_image_source": "16 string",
            "sensor_type": "12 int32",  # 1 LIDAR_ALL, 2 LIDAR_TOP, 3 CAMERA_ALL, 4 CAMERA_LIDAR_TOP, 5 CAMERA_LIDAR_ALL
            "number_past_frames_exclude_current": "9 int32",
            "number_future_frames_exclude_current": "10 int32",
            "inference_results": "11 Objects",
            "object_types": "14 repeated int32",
            "latency_second": "15 float",
        },
    },
    uses=(dataset.FILE_NAME,),
)

Object = _CLASSES["Object"]
Objects = _CLASSES["Objects"]
Submission = _CLASSES["Submission"]
