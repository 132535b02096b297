"""Argoverse 2's sensor data -> frames: sweeps, annotations and poses as Feather files.

A log holds sensors/lidar/TIMESTAMP.feather (ns), annotations.feather and city_SE3_egovehicle.feather. Points and
boxes are in the frame of the rear axle, ARGOVERSE_HEIGHT_M above the ground, and are raised by that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pcdet_poly.checks.timestamps import convert_to_us
from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.formats.cloud_files import ARGOVERSE_HEIGHT_M, read_argoverse_cloud, read_feather
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.formats.labelled_frame import FileBoxes, make_labelled_frame
from pcdet_poly.data.convert.formats.rigid_motion import make_pose
from pcdet_poly.data.store.source_fingerprint import Source, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance

_VEHICLES = (
    *("REGULAR_VEHICLE", "LARGE_VEHICLE", "BUS", "BOX_TRUCK", "TRUCK", "TRUCK_CAB", "SCHOOL_BUS", "ARTICULATED_BUS"),
    *("MOTORCYCLE", "VEHICULAR_TRAILER"),
)
DEFAULT_NAMES = {
    **dict.fromkeys(_VEHICLES, "VEHICLE"),
    "PEDESTRIAN": "PEDESTRIAN",
    **dict.fromkeys(("BICYCLIST", "MOTORCYCLIST"), "CYCLIST"),
    **dict.fromkeys(("SIGN", "STOP_SIGN"), "SIGN"),
}
DROPPED_NAMES = (
    *("BOLLARD", "CONSTRUCTION_CONE", "CONSTRUCTION_BARREL", "BICYCLE", "WHEELED_DEVICE", "DOG", "WHEELED_RIDER"),
    *("STROLLER", "MESSAGE_BOARD_TRAILER", "WHEELCHAIR", "RAILED_VEHICLE", "OFFICIAL_SIGNALER", "ANIMAL"),
    *("TRAFFIC_LIGHT_TRAILER", "MOBILE_PEDESTRIAN_CROSSING_SIGN", "MOBILE_PEDESTRIAN_SIGN"),  # the last: their README's
)
_QUATERNION = ("qw", "qx", "qy", "qz")
_PLACE = ("tx_m", "ty_m", "tz_m")
_SIZE = ("length_m", "width_m", "height_m")
_RAISE = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, ARGOVERSE_HEIGHT_M], [0, 0, 0, 1]], np.float64)


def list_argoverse_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe the logs among `inputs` and in the folders among them; each is one segment."""
    logs = []
    for folder in map(Path, inputs):
        inside = [folder] if _list_sweeps(folder) else [log for log in sorted(folder.glob("*")) if _list_sweeps(log)]
        if not inside:
            raise UserError(
                f"{folder}: no sensors/lidar/*.feather in it; name a log of Argoverse 2, or a folder of logs"
            )
        logs += inside
    tables = ("annotations.feather", "city_SE3_egovehicle.feather")
    return [
        describe_source(log.resolve(), [*_list_sweeps(log), *(log / name for name in tables if (log / name).is_file())])
        for log in logs
    ]


def read_argoverse(
    path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions
) -> Iterator[Frame]:
    """Yield the frames of a log by time.

    Args:
        path: folder of the log.
        advance: called with the number of bytes of each sweep.
        report_error: called with a `UserError` for each frame that cannot be read.
        options: names of classes; the format has its own times.
    """
    log = Path(str(path))
    try:
        poses = _read_poses(log / "city_SE3_egovehicle.feather")
        annotations = _read_annotations(log / "annotations.feather")
        _check_times(annotations["timestamp_ns"], log)
    except UserError as error:
        report_error(error)
        return
    for sweep in _list_sweeps(log):
        advance(sweep.stat().st_size)
        try:
            time_ns = int(sweep.stem)
            if time_ns not in poses:
                raise UserError(f"{sweep}: city_SE3_egovehicle.feather has no pose of that time; fetch the log again")
            frame = make_labelled_frame(
                read_argoverse_cloud(sweep),
                _select_boxes(annotations, time_ns),
                options.names,
                where=str(log / "annotations.feather"),
                segment=log.name,
                timestamp_us=convert_to_us(time_ns, "ns"),
                pose=poses[time_ns] @ np.linalg.inv(_RAISE),
            )
        except UserError as error:
            report_error(error)
            continue
        yield frame


def _list_sweeps(log: Path) -> list[Path]:
    sweeps = [file for file in (log / "sensors" / "lidar").glob("*.feather") if file.stem.isdecimal()]
    return sorted(sweeps, key=lambda file: int(file.stem))


def _read_poses(path: Path) -> dict[int, np.ndarray]:
    """Read city_SE3_egovehicle: time in ns -> (4, 4) world from the rear axle."""
    columns = read_feather(path, ("timestamp_ns", *_QUATERNION, *_PLACE))
    turn = np.column_stack([columns[name] for name in _QUATERNION])
    place = np.column_stack([columns[name] for name in _PLACE])
    return {int(time): make_pose(q, t) for time, q, t in zip(columns["timestamp_ns"], turn, place, strict=True)}


def _read_annotations(path: Path) -> Mapping[str, np.ndarray]:
    """Read all boxes of a log; none where the log has no file of them, as in the test split."""
    names, texts = ("timestamp_ns", *_SIZE, *_QUATERNION, *_PLACE), ("track_uuid", "category")
    if not path.is_file():
        return {name: np.zeros(0) for name in (*names, *texts)}
    return read_feather(path, names, texts)


def _check_times(times_ns: np.ndarray, log: Path) -> None:
    """Refuse boxes of which none has the time of a sweep: all frames would be without labels."""
    if len(times_ns) and set(times_ns.tolist()).isdisjoint(int(sweep.stem) for sweep in _list_sweeps(log)):
        raise UserError(
            f"{log / 'annotations.feather'}: no sweep has the time of any box (the first is of {times_ns[0]} ns); are "
            "both of one log?"
        )


def _select_boxes(annotations: Mapping[str, np.ndarray], time_ns: int) -> FileBoxes:
    """Select the boxes of one sweep, raised into the vehicle frame."""
    rows = np.flatnonzero(annotations["timestamp_ns"] == time_ns)
    if not len(rows):
        return FileBoxes.empty()
    center, size, turn = (
        np.column_stack([annotations[name][rows] for name in names]).astype(np.float64)
        for names in (_PLACE, _SIZE, _QUATERNION)
    )
    forward = np.stack([make_pose(q, np.zeros(3))[:3, 0] for q in turn])
    heading = np.arctan2(forward[:, 1], forward[:, 0])
    box = np.column_stack([center + np.array([0, 0, ARGOVERSE_HEIGHT_M]), size, heading]).astype(np.float32)
    return FileBoxes(
        box, list(map(str, annotations["category"][rows])), list(map(str, annotations["track_uuid"][rows]))
    )
