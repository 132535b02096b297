"""Everything that a frame holds besides its points, as JSON text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.structures import Frame, GroundTruth, LidarCalibration


@dataclass(frozen=True)
class FrameDescription:
    """The JSON of one frame, parsed. Arrays are nested lists, in which None stands for NaN."""

    segment: str
    timestamp_us: int
    num_points: int
    columns: Sequence[str]
    class_names: Sequence[str]
    world_from_vehicle: list[Any]  # 4 x 4
    objects: dict[str, list[Any]]  # columns of GroundTruth
    no_label_zones: list[Any]  # polygons K x 2, world frame
    context: dict[str, str]
    calibrations: list[dict[str, Any]]  # fields of LidarCalibration

    def to_frame(self, points: np.ndarray) -> Frame:
        """Make the frame that this describes, with its points (P, len(columns)) float32."""
        return Frame(
            points=points,
            ground_truth=_decode_objects(**self.objects),
            world_from_vehicle=np.array(self.world_from_vehicle, np.float64),
            timestamp_us=self.timestamp_us,
            segment=self.segment,
            columns=tuple(self.columns),
            class_names=tuple(self.class_names),
            calibrations=tuple(_decode_calibration(**calibration) for calibration in self.calibrations),
            no_label_zones=tuple(np.array(zone, np.float64).reshape(-1, 2) for zone in self.no_label_zones),
            context=self.context,
        )


def encode_description(frame: Frame) -> bytes:
    """Encode the labels, pose, calibration and names of `frame`; NaN becomes null.

    Raises:
        UserError: if one of the numbers is infinite.
    """
    description = FrameDescription(
        segment=frame.segment,
        timestamp_us=int(frame.timestamp_us),
        num_points=len(frame.points),
        columns=frame.columns,
        class_names=frame.class_names,
        world_from_vehicle=_encode_numbers(frame.world_from_vehicle),
        objects={name: _encode_numbers(np.asarray(column)) for name, column in frame.ground_truth.columns().items()},
        no_label_zones=[_encode_numbers(zone) for zone in frame.no_label_zones],
        context=dict(frame.context),
        calibrations=[_encode_calibration(calibration) for calibration in frame.calibrations],
    )
    try:
        return json.dumps(vars(description), allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise UserError(
            f"frame {frame.frame_id}: an infinite number in its labels or poses; mend the source"
        ) from error


def parse_description(text: memoryview | bytes) -> FrameDescription:
    """Parse what `encode_description` wrote."""
    return FrameDescription(**json.loads(bytes(text)))


def _decode_objects(
    *,
    box: list[Any],
    label: list[int],
    level: list[int],
    num_points: list[int],
    track: list[str],
    speed: list[Any],
) -> GroundTruth:
    return GroundTruth(
        box=np.array(box, np.float32).reshape(-1, 7),
        label=np.array(label, np.int64),
        level=np.array(level, np.int64),
        num_points=np.array(num_points, np.int64),
        track=np.array(track, np.str_),
        speed=np.array(speed, np.float32).reshape(-1, 2),
    )


def _encode_calibration(calibration: LidarCalibration) -> dict[str, Any]:
    return {
        "lidar": calibration.lidar,
        "vehicle_from_lidar": _encode_numbers(calibration.vehicle_from_lidar),
        "beam_inclination_rad": _encode_numbers(calibration.beam_inclination_rad),
        "beam_inclination_min_rad": float(calibration.beam_inclination_min_rad),
        "beam_inclination_max_rad": float(calibration.beam_inclination_max_rad),
    }


def _decode_calibration(
    *, vehicle_from_lidar: list[Any], beam_inclination_rad: list[float], **others: Any
) -> LidarCalibration:
    return LidarCalibration(
        vehicle_from_lidar=np.array(vehicle_from_lidar, np.float64),
        beam_inclination_rad=np.array(beam_inclination_rad, np.float64),
        **others,
    )


def _encode_numbers(array: np.ndarray) -> list[Any]:
    """Nested lists with None for NaN. float32 survives: its double is printed with all digits."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        values = array.astype(object)
        values[np.isnan(array)] = None
        return values.tolist()
    return array.tolist()
