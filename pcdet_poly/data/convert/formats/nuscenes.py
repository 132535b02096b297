"""nuScenes -> frames: the tables of a version, and the key frames of its roof LiDAR.

The root holds v1.0-mini (or -trainval, -test) with the tables as JSON, and samples/LIDAR_TOP. Boxes are in the world
frame, clouds in the LiDAR's (x right, y forward); both are moved into the vehicle frame by ego_pose and
calibrated_sensor. Each scene is one segment of frames .5 s apart.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pcdet_poly.data.convert.build_store import ReportError
from pcdet_poly.data.convert.formats.cloud_files import read_nuscenes_lidar
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.formats.labelled_frame import FileBoxes, make_labelled_frame
from pcdet_poly.data.convert.formats.rigid_motion import make_pose, move_boxes, move_points
from pcdet_poly.data.store.source_fingerprint import Source, describe_source
from pcdet_poly.errors import UserError
from pcdet_poly.paths import AnyPath
from pcdet_poly.structures import Frame
from pcdet_poly.workers import Advance

_VEHICLES = ("car", "truck", "bus.bendy", "bus.rigid", "construction", "trailer", "motorcycle")
_EMERGENCY = ("ambulance", "police")
_PEOPLE = ("adult", "child", "construction_worker", "police_officer", "wheelchair", "stroller", "personal_mobility")
DEFAULT_NAMES = {
    **{f"vehicle.{name}": "VEHICLE" for name in _VEHICLES},
    **{f"vehicle.emergency.{name}": "VEHICLE" for name in _EMERGENCY},
    **{f"human.pedestrian.{name}": "PEDESTRIAN" for name in _PEOPLE},
    "vehicle.bicycle": "CYCLIST",
}
DROPPED_NAMES = (
    *(f"movable_object.{name}" for name in ("barrier", "debris", "pushable_pullable", "trafficcone")),
    *("animal", "static_object.bicycle_rack", "vehicle.ego"),
)
_VERSIONS = ("v1.0-trainval", "v1.0-mini", "v1.0-test")
_TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")
_LABELS = ("sample_annotation", "instance", "category")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Tables:
    """The rows of a version that clouds and boxes need."""

    lidars: Mapping[str, list[Row]]  # scene's name -> its LiDAR key frames by time
    boxes: Mapping[str, list[Row]]  # sample's token -> its boxes, each with the names category_name and track
    poses: Mapping[str, Row]
    sensors: Mapping[str, Row]


def list_nuscenes_sources(inputs: Sequence[str]) -> list[Source]:
    """Describe each scene of each of `inputs`, which are nuScenes' root or the folder of a version in it."""
    sources = []
    for folder in map(Path, inputs):
        version = _find_version(folder).resolve()
        for scene, lidars in load_tables(version).lidars.items():
            clouds = [version.parent / row["filename"] for row in lidars]
            if missing := next((cloud for cloud in clouds if not cloud.is_file()), None):
                raise UserError(f"{missing}: no such file, which {version.name}/sample_data.json names; fetch it")
            labels = [file for file in (version / "sample_annotation.json",) if file.is_file()]
            sources.append(describe_source(version / scene, [*clouds, *labels], origin=version))
    return sources


def read_nuscenes(
    path: AnyPath, advance: Advance, report_error: ReportError, *, options: ImportOptions
) -> Iterator[Frame]:
    """Yield the frames of a scene by time.

    Args:
        path: the folder of the version, and the scene's name behind it.
        advance: called with the number of bytes of each cloud.
        report_error: called with a `UserError` for each frame that cannot be read.
        options: names of classes; the format has its own times.
    """
    version = Path(str(path)).parent
    tables = load_tables(version)
    for row in tables.lidars[path.name]:
        cloud = version.parent / row["filename"]
        advance(cloud.stat().st_size)
        try:
            frame = _read_frame(cloud, row, tables, path.name, options)
        except UserError as error:
            report_error(error)
            continue
        except (KeyError, TypeError, ValueError) as error:
            report_error(UserError(f"{version}: the tables do not fit {cloud.name} ({error}); fetch them again"))
            continue
        yield frame


@lru_cache(maxsize=1)
def load_tables(version: Path) -> Tables:
    """Load the tables of a version; raise `UserError` where one is missing or damaged."""
    rows = {name: _load_table(version / f"{name}.json") for name in _TABLES}
    has_labels = (version / "sample_annotation.json").is_file()
    rows |= {name: _load_table(version / f"{name}.json") if has_labels else [] for name in _LABELS}
    try:
        return _join_tables(rows)
    except (KeyError, TypeError) as error:
        raise UserError(f"{version}: the tables do not fit each other ({error}); fetch them again") from error


def _join_tables(rows: Mapping[str, list[Row]]) -> Tables:
    by_token = {name: {row["token"]: row for row in table} for name, table in rows.items()}
    roof = {row["token"] for row in rows["sensor"] if row["channel"] == "LIDAR_TOP"}
    sensors = by_token["calibrated_sensor"]
    lidars: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows["sample_data"], key=lambda row: row["timestamp"]):
        if row["is_key_frame"] and sensors[row["calibrated_sensor_token"]]["sensor_token"] in roof:
            scene = by_token["scene"][by_token["sample"][row["sample_token"]]["scene_token"]]
            Path(row["filename"])  # is there, and a text
            lidars[scene["name"]].append(row)
    boxes: dict[str, list[Row]] = defaultdict(list)
    for row in rows["sample_annotation"]:
        category = by_token["category"][by_token["instance"][row["instance_token"]]["category_token"]]
        boxes[row["sample_token"]].append({**row, "category_name": category["name"]})
    return Tables(dict(sorted(lidars.items())), boxes, by_token["ego_pose"], sensors)


def _read_frame(cloud: Path, row: Row, tables: Tables, scene: str, options: ImportOptions) -> Frame:
    pose, sensor = tables.poses[row["ego_pose_token"]], tables.sensors[row["calibrated_sensor_token"]]
    world_from_vehicle = make_pose(pose["rotation"], pose["translation"])
    vehicle_from_lidar = make_pose(sensor["rotation"], sensor["translation"])
    return make_labelled_frame(
        move_points(read_nuscenes_lidar(cloud), vehicle_from_lidar),
        _make_boxes(tables.boxes.get(row["sample_token"], []), np.linalg.inv(world_from_vehicle)),
        options.names,
        where=f"{cloud}: sample_annotation",
        segment=scene,
        timestamp_us=int(row["timestamp"]),
        pose=world_from_vehicle,
    )


def _make_boxes(rows: Sequence[Row], vehicle_from_world: np.ndarray) -> FileBoxes:
    """Move boxes from the world into the vehicle frame; sizes are width, length, height in the tables."""
    if not rows:
        return FileBoxes.empty()
    center = np.array([row["translation"] for row in rows], np.float64)
    size = np.array([row["size"] for row in rows], np.float64)[:, [1, 0, 2]]
    forward = np.stack([make_pose(row["rotation"], np.zeros(3))[:3, 0] for row in rows])
    box = move_boxes(center, size, forward, vehicle_from_world)
    return FileBoxes(box, [row["category_name"] for row in rows], [row["instance_token"] for row in rows])


def _find_version(folder: Path) -> Path:
    found = [path for path in (folder, *(folder / name for name in _VERSIONS)) if (path / "sample_data.json").is_file()]
    if not found:
        raise UserError(f"{folder}: no {' nor '.join(_VERSIONS)} with tables in it; name nuScenes' root folder")
    if len(found) > 1:
        raise UserError(f"{folder}: has {' and '.join(path.name for path in found)}; name one of these folders")
    return found[0]


def _load_table(path: Path) -> list[Row]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; fetch the tables again")
    try:
        rows = json.loads(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}); fetch it again") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: not a table of nuScenes; fetch it again")
    return rows
