"""All of a frame but its points <-> JSON text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.structures import Frame, GroundTruth, LidarCalibration


def encode_frame(frame: Frame) -> bytes:
    """Labels, pose, calibration and names of `frame` as JSON. NaN becomes null; infinity is refused."""
    value = {
        "segment": frame.segment,
        "timestamp_us": int(frame.timestamp_us),
        "num_points": len(frame.points),
        "columns": frame.columns,
        "class_names": frame.class_names,
        "world_from_vehicle": _encode_numbers(frame.world_from_vehicle),
        "objects": {name: _encode_numbers(np.asarray(column)) for name, column in frame.ground_truth.columns().items()},
        "no_label_zones": [_encode_numbers(zone) for zone in frame.no_label_zones],
        "context": dict(frame.context),
        "calibrations": [_encode_calibration(calibration) for calibration in frame.calibrations],
    }
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise UserError(
            f"frame {frame.frame_id}: an infinite number in its labels or poses; mend the source"
        ) from error


def decode_frame(value: dict[str, Any], points: np.ndarray) -> Frame:
    """The inverse of `encode_frame`, from its parsed JSON and the points (P, len(value["columns"]))."""
    return Frame(
        points=points,
        ground_truth=_decode_objects(value["objects"]),
        world_from_vehicle=np.array(value["world_from_vehicle"], np.float64),
        timestamp_us=value["timestamp_us"],
        segment=value["segment"],
        columns=tuple(value["columns"]),
        class_names=tuple(value["class_names"]),
        calibrations=tuple(_decode_calibration(calibration) for calibration in value["calibrations"]),
        no_label_zones=tuple(np.array(zone, np.float64).reshape(-1, 2) for zone in value["no_label_zones"]),
        context=value["context"],
    )


def _decode_objects(columns: dict[str, list[Any]]) -> GroundTruth:
    return GroundTruth(
        box=np.array(columns["box"], np.float32).reshape(-1, 7),
        label=np.array(columns["label"], np.int64),
        level=np.array(columns["level"], np.int64),
        num_points=np.array(columns["num_points"], np.int64),
        track=np.array(columns["track"], np.str_),
        speed=np.array(columns["speed"], np.float32).reshape(-1, 2),
    )


def _encode_calibration(calibration: LidarCalibration) -> dict[str, Any]:
    return {
        "lidar": calibration.lidar,
        "vehicle_from_lidar": _encode_numbers(calibration.vehicle_from_lidar),
        "beam_inclination_rad": _encode_numbers(calibration.beam_inclination_rad),
        "beam_inclination_min_rad": float(calibration.beam_inclination_min_rad),
        "beam_inclination_max_rad": float(calibration.beam_inclination_max_rad),
    }


def _decode_calibration(value: dict[str, Any]) -> LidarCalibration:
    return LidarCalibration(
        lidar=value["lidar"],
        vehicle_from_lidar=np.array(value["vehicle_from_lidar"], np.float64),
        beam_inclination_rad=np.array(value["beam_inclination_rad"], np.float64),
        beam_inclination_min_rad=value["beam_inclination_min_rad"],
        beam_inclination_max_rad=value["beam_inclination_max_rad"],
    )


def _encode_numbers(array: np.ndarray) -> list[Any]:
    """Nested lists, None for NaN. float32 survives: its double is printed with all digits."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        values = array.astype(object)
        values[np.isnan(array)] = None
        return values.tolist()
    return array.tolist()
