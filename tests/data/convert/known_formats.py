"""Small data sets in the forms of KITTI, nuScenes, Argoverse 2 and OpenPCDet, made backwards from one made-up frame.

The arithmetic is other than the readers': frames of reference are inverted step by step, headings become the formats'
own angles and quaternions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather

CENTER = np.array([[12.0, 3.0, 0.8], [20.0, -5.0, 0.9], [9.0, -2.0, 0.85]])
SIZE = np.array([[4.4, 1.8, 1.6], [0.7, 0.6, 1.8], [1.8, 0.7, 1.7]])
HEADING = np.array([0.4, -1.9, 2.7])
POINTS_PER_BOX = (60, 25, 30)


@dataclass(frozen=True)
class Scene:
    """A frame whose boxes hold known points, in the vehicle frame with the ground at z = 0."""

    xyz: np.ndarray  # (P, 3)
    intensity: np.ndarray  # (P,) 0 to 1, in 255ths

    @property
    def num_points(self) -> list[int]:
        """Points in each box."""
        return list(POINTS_PER_BOX)


def make_scene() -> Scene:
    """Points near the corners of three boxes, so that a turned or shifted box loses many, and some on the ground."""
    rng = np.random.default_rng(0)
    parts = []
    for center, size, heading, count in zip(CENTER, SIZE, HEADING, POINTS_PER_BOX, strict=True):
        offset = rng.choice([-0.48, 0.48], (count, 3)) * size + rng.uniform(-0.005, 0.005, (count, 3))
        cosine, sine = np.cos(heading), np.sin(heading)
        x, y = offset[:, 0] * cosine - offset[:, 1] * sine, offset[:, 0] * sine + offset[:, 1] * cosine
        parts.append(np.column_stack([x, y, offset[:, 2]]) + center)
    ground = np.column_stack([rng.uniform(9, 30, 120), rng.uniform(-4, 4, 120), np.full(120, -0.2)])
    xyz = np.concatenate([*parts, ground])
    return Scene(xyz, rng.integers(0, 256, len(xyz)) / 255)


def write_kitti(root: Path, scene: Scene) -> None:
    """training/ with one frame, whose calibration is KITTI's within a degree or two."""
    for folder in ("velodyne", "label_2", "calib"):
        (root / "training" / folder).mkdir(parents=True)
    lidar = scene.xyz - [0, 0, 1.73]
    rows = np.column_stack([lidar, scene.intensity]).astype(np.float32)
    behind = np.array([[-10, 0, -1, 0.5]], np.float32)  # the camera does not see it
    np.concatenate([rows, behind]).tofile(root / "training/velodyne/000007.bin")
    tilt = 0.01
    turn = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]) @ _about_z(tilt)
    shift = np.array([-0.004, -0.076, -0.272])
    rectify = _about_z(0.002)
    camera = (rectify @ (turn @ (CENTER - [0, 0, 1.73]).T + shift[:, None])).T
    lines = [
        "P0: " + " ".join(["0"] * 12),
        "P2: 721.5 0 609.6 44.86 0 721.5 172.9 0.2164 0 0 1 0.002746",
        "R0_rect: " + _join(rectify),
        "Tr_velo_to_cam: " + _join(np.column_stack([turn, shift])),
    ]
    (root / "training/calib/000007.txt").write_text("\n".join(lines) + "\n\n")
    names = ("Car", "Pedestrian", "Cyclist")
    labels = []
    for name, center, size, heading in zip(names, camera, SIZE, HEADING, strict=True):
        ahead = rectify @ turn @ [np.cos(heading), np.sin(heading), 0]
        yaw = -np.arctan2(ahead[2], ahead[0])
        length, width, height = size
        bottom = center + np.array([0, height / 2, 0])  # y points down
        numbers = (height, width, length, *bottom, yaw)
        labels.append(f"{name} 0.00 0 0.00 0 0 50 50 " + " ".join(f"{value:.6f}" for value in numbers))
    labels.append("DontCare -1 -1 -10 0 0 50 50 -1 -1 -1 -1000 -1000 -1000 -10")
    (root / "training/label_2/000007.txt").write_text("\n".join(labels) + "\n")


def write_nuscenes(root: Path, scene: Scene) -> None:
    """v1.0-mini with one scene of two key frames, far from the world's origin, and a sweep between them."""
    (root / "v1.0-mini").mkdir(parents=True)
    (root / "samples/LIDAR_TOP").mkdir(parents=True)
    vehicle_in_lidar = np.column_stack([-scene.xyz[:, 1], scene.xyz[:, 0] - 0.94, scene.xyz[:, 2] - 1.84])
    rings = np.arange(len(scene.xyz)) % 32
    rows = np.column_stack([vehicle_in_lidar, np.rint(scene.intensity * 255), rings]).astype(np.float32)
    yaw, place = 2.1, np.array([411.3, 1180.9, 0.3])
    tables: dict[str, list[dict[str, object]]] = {
        "scene": [{"token": "scene-token", "name": "scene-0061"}],
        "sensor": [{"token": "roof", "channel": "LIDAR_TOP"}, {"token": "front", "channel": "CAM_FRONT"}],
        "calibrated_sensor": [
            {
                "token": "mount",
                "sensor_token": "roof",
                "translation": [0.94, 0, 1.84],
                "rotation": _quaternion(-np.pi / 2),
            },
            {"token": "eye", "sensor_token": "front", "translation": [0, 0, 0], "rotation": [1, 0, 0, 0]},
        ],
        "category": [
            {"token": f"c{i}", "name": name}
            for i, name in enumerate(("vehicle.car", "human.pedestrian.adult", "vehicle.bicycle"))
        ],
        "instance": [{"token": f"i{i}", "category_token": f"c{i}"} for i in range(3)],
        **{name: [] for name in ("sample", "sample_data", "ego_pose", "sample_annotation")},
    }
    for k in range(2):
        time, name = 1_533_151_603_547_590 + k * 500_000, f"samples/LIDAR_TOP/cloud{k}.pcd.bin"
        rows.tofile(root / name)
        tables["sample"].append({"token": f"s{k}", "scene_token": "scene-token", "timestamp": time})
        pose = {"token": f"p{k}", "translation": [*(place[:2] + k), place[2]], "rotation": _quaternion(yaw)}
        tables["ego_pose"].append(pose)
        for token, sensor, key in ((f"d{k}", "mount", True), (f"e{k}", "eye", True), (f"w{k}", "mount", False)):
            tables["sample_data"].append(
                {
                    "token": token,
                    "sample_token": f"s{k}",
                    "ego_pose_token": f"p{k}",
                    "calibrated_sensor_token": sensor,
                    "timestamp": time + (0 if key else 50_000),
                    "is_key_frame": key,
                    "filename": name,
                }
            )
        for i in range(3):
            world = _about_z(yaw) @ CENTER[i] + [*(place[:2] + k), place[2]]
            length, width, height = SIZE[i]
            tables["sample_annotation"].append(
                {
                    "token": f"a{k}{i}",
                    "sample_token": f"s{k}",
                    "instance_token": f"i{i}",
                    "translation": world.tolist(),
                    "size": [width, length, height],
                    "rotation": _quaternion(HEADING[i] + yaw),
                }
            )
    for name, table in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(table))


def write_argoverse2(log: Path, scene: Scene) -> None:
    """A log of two sweeps, 102 ms apart, whose clock has Argoverse's era."""
    (log / "sensors/lidar").mkdir(parents=True)
    times = [315_968_112_437_425_433, 315_968_112_539_425_433]
    axle = scene.xyz - [0, 0, 0.33]
    for time in times:
        columns = dict(zip("xyz", axle.astype(np.float32).T, strict=True))
        columns["intensity"] = np.rint(scene.intensity * 255).astype(np.uint8)
        columns["laser_number"] = (np.arange(len(axle)) % 64).astype(np.uint8)
        columns["offset_ns"] = np.arange(len(axle), dtype=np.int32)
        pa.feather.write_feather(pa.table(columns), log / f"sensors/lidar/{time}.feather")
    turns = np.array([_quaternion(heading) for heading in HEADING])
    rows = {
        "timestamp_ns": np.repeat(times, 3),
        "track_uuid": ["car", "walker", "rider"] * 2,
        "category": ["REGULAR_VEHICLE", "PEDESTRIAN", "BICYCLIST"] * 2,
        **{name: np.tile(SIZE[:, i], 2) for i, name in enumerate(("length_m", "width_m", "height_m"))},
        **{name: np.tile(turns[:, i], 2) for i, name in enumerate(("qw", "qx", "qy", "qz"))},
        **{name: np.tile((CENTER - [0, 0, 0.33])[:, i], 2) for i, name in enumerate(("tx_m", "ty_m", "tz_m"))},
        "num_interior_pts": np.tile(POINTS_PER_BOX, 2),
    }
    pa.feather.write_feather(pa.table(rows), log / "annotations.feather")
    poses = {"timestamp_ns": times, "qw": [1.0, 1.0], "qx": [0.0, 0.0], "qy": [0.0, 0.0], "qz": [0.0, 0.0]}
    place = {"tx_m": [747.4, 748.2], "ty_m": [1275.3, 1275.3], "tz_m": [-24.2, -24.2]}
    pa.feather.write_feather(pa.table({**poses, **place}), log / "city_SE3_egovehicle.feather")


def write_openpcdet(folder: Path, scene: Scene) -> None:
    """points/ and labels/ of one frame."""
    (folder / "points").mkdir(parents=True)
    (folder / "labels").mkdir()
    np.save(folder / "points/000000.npy", np.column_stack([scene.xyz, scene.intensity]).astype(np.float32))
    rows = zip(("Vehicle", "Pedestrian", "Cyclist"), np.column_stack([CENTER, SIZE, HEADING]), strict=True)
    (folder / "labels/000000.txt").write_text("".join(f"{_join(box)} {name}\n" for name, box in rows))


def _about_z(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def _quaternion(yaw: float) -> list[float]:
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


def _join(values: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in np.asarray(values).reshape(-1))
