"""Data sets by name: each gives the one frame that it was made from, boxes around their points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest

from pcdet_poly.data.convert.formats import argoverse2
from pcdet_poly.data.convert.formats.class_names import ClassNames
from pcdet_poly.data.convert.formats.import_format import import_format
from pcdet_poly.data.convert.formats.import_options import ImportOptions
from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from tests.data.convert.known_formats import (
    CENTER,
    HEADING,
    SIZE,
    Scene,
    make_scene,
    write_argoverse2,
    write_kitti,
    write_nuscenes,
    write_openpcdet,
)

SCENE = make_scene()
# name -> what writes it, its folder, the ids of its frames
FORMATS: dict[str, tuple[Callable[[Path, Scene], None], list[str]]] = {
    "kitti": (write_kitti, ["training/7000000"]),
    "nuscenes": (write_nuscenes, ["scene-0061/1533151603547590", "scene-0061/1533151604047590"]),
    "argoverse2": (write_argoverse2, ["data/315968112437425", "data/315968112539425"]),
    "openpcdet": (write_openpcdet, ["data/0"]),
}
# float32 keeps 30 m to 2e-6 m; KITTI's labels are text of 6 digits after the point.
ATOL_M = 2e-5


def import_one(name: str, tmp_path: Path, **options: object) -> Store:
    write, _ = FORMATS[name]
    write(tmp_path / "data", SCENE)
    summary = import_format(name, [str(tmp_path / "data")], tmp_path / "store", precision="exact", **options)
    assert all("its points are those of the frame before it" in line for line in summary.warnings)  # made so
    return Store(tmp_path / "store")


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_hold_their_points_in_the_vehicle_frame(name: str, tmp_path: Path) -> None:
    store = import_one(name, tmp_path)
    assert list(store.frame_ids) == FORMATS[name][1]
    for frame in store:
        objects = frame.ground_truth
        assert objects.num_points.tolist() == SCENE.num_points  # counted in our frame, made in theirs
        np.testing.assert_allclose(objects.box[:, :3], CENTER, atol=ATOL_M, rtol=0)
        np.testing.assert_allclose(objects.box[:, 3:6], SIZE, atol=ATOL_M, rtol=0)
        turned = np.angle(np.exp(1j * (objects.box[:, 6] - HEADING)))
        # Headings through float32 quaternions and matrices: some roundings of 2e-7.
        np.testing.assert_allclose(turned, 0, atol=1e-5)
        assert [frame.class_names[label] for label in objects.label] == ["VEHICLE", "PEDESTRIAN", "CYCLIST"]
        np.testing.assert_allclose(frame.points[:, :3], SCENE.xyz, atol=ATOL_M, rtol=0)  # the point behind is gone
        np.testing.assert_allclose(frame.points[:, 3], SCENE.intensity, atol=1e-6, rtol=0)
        assert not frame.points[:, 4].any()


def test_poses_put_the_frames_into_the_world(tmp_path: Path) -> None:
    first, second = import_one("nuscenes", tmp_path)
    # float64 all the way: coordinates near 1,200 m have roundings of 1e-13 m.
    np.testing.assert_allclose(first.world_from_vehicle[:3, 3], [411.3, 1180.9, 0.3], atol=1e-9)
    # The same.
    np.testing.assert_allclose(second.world_from_vehicle[:2, 3] - first.world_from_vehicle[:2, 3], [1, 1], atol=1e-9)
    assert first.ground_truth.track.tolist() == ["i0", "i1", "i2"]


@pytest.mark.parametrize("name", ["kitti", "nuscenes", "argoverse2", "openpcdet"])
def test_detect_reads_the_same_cloud(name: str, tmp_path: Path) -> None:
    FORMATS[name][0](tmp_path / "data", SCENE)
    ending = {"kitti": "bin", "nuscenes": "pcd.bin", "argoverse2": "feather", "openpcdet": "npy"}[name]
    clouds = [path for path in sorted((tmp_path / "data").rglob(f"*.{ending}")) if path.stem[:3] not in ("ann", "cit")]
    points = read_cloud(clouds[0], format=name).points[: len(SCENE.xyz)]
    np.testing.assert_allclose(points[:, :3], SCENE.xyz, atol=ATOL_M, rtol=0)
    # Intensities below 1 in float32, in one format divided by 255: two roundings of 6e-8.
    np.testing.assert_allclose(points[:, 3], SCENE.intensity, atol=1e-6, rtol=0)


def test_waymo_clouds_of_openpcdet(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.uniform(-20, 20, (300, 3)), rng.lognormal(0, 1, 300), rng.uniform(0, 1, 300)])
    rows = rows.astype(np.float32)
    flag = np.where(np.arange(300) % 10, -1, 1)  # every tenth point lies in a no-label zone
    np.save(tmp_path / "raw.npy", np.column_stack([rows, flag]).astype(np.float32))
    tanh = rows.copy()
    tanh[:, 3] = np.tanh(rows[:, 3])
    tanh.tofile(tmp_path / "tanh.bin")
    np.testing.assert_array_equal(read_cloud(tmp_path / "raw.npy", format="waymo-npy").points, rows[flag == -1])
    back = read_cloud(tmp_path / "tanh.bin", format="waymo-tanh").points
    np.testing.assert_allclose(np.tanh(back[:, 3]), tanh[:, 3], atol=2e-7)  # two roundings of float32 below 1
    np.save(tmp_path / "tanh.npy", tanh)
    with pytest.raises(UserError, match="say --format waymo-tanh"):
        read_cloud(tmp_path / "tanh.npy", format="waymo-npy")
    np.save(tmp_path / "five.npy", rows)
    with pytest.raises(UserError, match="no tanh; name it --format waymo-npy"):
        read_cloud(tmp_path / "five.npy", format="waymo-tanh")


def test_mapping_dropping_and_classes_of_ones_own(tmp_path: Path) -> None:
    names = ClassNames(("CAR", "RIDER"), {"Car": "CAR", "Cyclist": "RIDER"}, frozenset({"Pedestrian"}))
    (frame,) = import_one("kitti", tmp_path, options=ImportOptions(names))
    assert frame.class_names == ("CAR", "RIDER")
    assert frame.ground_truth.label.tolist() == [0, 1]
    assert frame.ground_truth.num_points.tolist() == [60, 30]
    names = ClassNames(("CAR", "RIDER"), {"Car": "CAR", "Cyclist": "RIDER"})
    with pytest.raises(UserError, match=r"class 'Pedestrian' is not known; the classes are CAR, RIDER.*--drop"):
        import_format("kitti", [str(tmp_path / "data")], tmp_path / "other", options=ImportOptions(names))


CALIBRATION = "P2: 1 0 0 0 0 1 0 0 0 0 1 0\nR0_rect: {}\nTr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n"
DAMAGES: list[tuple[str, str, str | None, str]] = [  # format, file, its new text (None removes it), what is said
    ("kitti", "training/calib/000007.txt", None, "000007.txt: no such file"),
    ("kitti", "training/calib/000007.txt", "P2: 1 2 3\n", "P2 with 12 numbers needed"),
    ("kitti", "training/calib/000007.txt", CALIBRATION.format("0 0 0 0 0 0 0 0 1"), "R0_rect: a pose that is no rigid"),
    (
        "kitti",
        "training/calib/000007.txt",
        CALIBRATION.format("1 0 0 0 1 0 0 0 -1"),
        "R0_rect: a pose that is no rigid",
    ),
    ("kitti", "training/label_2/000007.txt", "Car 1 2 3\n", "has 4 fields, 15 needed"),
    ("kitti", "training/velodyne/000007.bin", "12345", "5 bytes are not rows of 4 float32"),
    ("nuscenes", "v1.0-mini/ego_pose.json", None, "ego_pose.json: no such file"),
    ("nuscenes", "v1.0-mini/sample.json", "[{]", "sample.json: damaged"),
    ("nuscenes", "v1.0-mini/sample.json", "{}", "not a table"),
    ("nuscenes", "v1.0-mini/sample.json", "[]", "do not fit each other"),
    ("nuscenes", "samples/LIDAR_TOP/cloud0.pcd.bin", None, "cloud0.pcd.bin: no such file, which"),
    ("argoverse2", "city_SE3_egovehicle.feather", None, "no such file"),
    ("argoverse2", "annotations.feather", "x", "not a readable Feather file"),
    ("openpcdet", "labels/000000.txt", None, "each cloud in points/ needs its own"),
    ("openpcdet", "labels/000000.txt", "1 2 3 Car\n", "has 4 fields"),
    ("openpcdet", "labels/000000.txt", "a 2 3 4 5 6 7 Car\n", "could not convert"),
]


@pytest.mark.parametrize(("name", "file", "text", "says"), DAMAGES)
def test_damage_is_one_line(name: str, file: str, text: str | None, says: str, tmp_path: Path) -> None:
    FORMATS[name][0](tmp_path / "data", SCENE)
    place = tmp_path / "data" / file
    place.unlink()
    if text is not None:
        place.write_text(text)
    with pytest.raises(UserError) as caught:
        import_format(name, [str(tmp_path / "data")], tmp_path / "store")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def halve(table: pa.Table) -> pa.Table:
    """As the real sweeps are: 16 bits a coordinate."""
    return table.set_column(0, "x", table["x"].cast(pa.float16()))


# Argoverse 2's file, what is done to its table, what is said: nothing where it is as the real files are.
TABLES: list[tuple[str, Callable[[pa.Table], pa.Table], str | None]] = [
    ("sensors/lidar/315968112437425433", halve, None),
    ("annotations", lambda t: t.set_column(2, "category", t["category"].dictionary_encode()), None),
    ("annotations", lambda t: t.slice(3), None),  # boxes of one sweep alone, as where the other was not fetched
    ("annotations", lambda t: t.set_column(0, "timestamp_ns", pa.array([7] * 6)), "no sweep has the time of any box"),
    ("annotations", lambda t: t.set_column(2, "category", pa.array([*"abcde", None])), "1 of 6 rows have no category"),
    ("annotations", lambda t: t.set_column(3, "length_m", pa.array([*"abcdef"])), "length_m is string; numbers needed"),
    ("annotations", lambda t: t.set_column(2, "category", pa.array(range(6))), "category is int64; text needed"),
    ("city_SE3_egovehicle", lambda t: t.set_column(0, "timestamp_ns", pa.array([None, 1])), "1 of 2 rows have no time"),
    ("city_SE3_egovehicle", lambda t: t.slice(1), "has no pose of that time"),
]


@pytest.mark.parametrize(("file", "change", "says"), TABLES)
def test_tables_of_argoverse(
    file: str, change: Callable[[pa.Table], pa.Table], says: str | None, tmp_path: Path
) -> None:
    write_argoverse2(tmp_path / "data", SCENE)
    place = tmp_path / f"data/{file}.feather"
    pa.feather.write_feather(change(pa.feather.read_table(place, memory_map=False)), place)
    if says is None:
        import_format("argoverse2", [str(tmp_path / "data")], tmp_path / "store")
        return
    with pytest.raises(UserError, match=says):
        import_format("argoverse2", [str(tmp_path / "data")], tmp_path / "store")


def test_every_class_of_argoverse_is_known() -> None:
    """Their 30 classes; one of them has two names, in their list and in their code."""
    assert len({*argoverse2.DEFAULT_NAMES, *argoverse2.DROPPED_NAMES}) == 31
    assert "MOBILE_PEDESTRIAN_CROSSING_SIGN" in argoverse2.DROPPED_NAMES


@pytest.mark.parametrize("name", FORMATS)
def test_another_folder_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no .* in it"):
        import_format(name, [str(tmp_path)], tmp_path / "store")
