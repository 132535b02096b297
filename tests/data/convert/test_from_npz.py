"""Own frames to a store: what is given comes back, what is missing is filled, mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pcdet_poly.data.check.check_store import check_store
from pcdet_poly.data.convert.from_npz import import_npz
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from tests.data.records import bytes_of, run, tool
from tests.waymo.scans import rigid

BOXES = np.array([[10, 0, 1, 4, 2, 1.5, 0.3], [-5, 5, 1, 1, 1, 2, -3.0]], np.float64)
NAMES = np.array(["VEHICLE", "PEDESTRIAN"])


def save(path: Path, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"points": np.random.default_rng(0).uniform(-20, 20, (50, 5)), "boxes": BOXES, "names": NAMES, **arrays}
    np.savez(path, **{name: value for name, value in given.items() if value is not None})
    return path


def test_everything_given_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        "points": rng.uniform(-20, 20, (50, 5)).astype(np.float32),
        "num_points": np.array([7, 0]),
        "track": np.array(["a", "b"]),
        "speed": np.array([[1.0, 2.0], [np.nan, np.nan]]),
        "timestamp": np.int64(123_456),
        "pose": rigid(*rng.normal(0, 1, 6)),
    }
    save(tmp_path / "drive" / "0.npz", **arrays)
    import_npz(tmp_path / "drive", tmp_path / "store", precision="exact")
    (frame,) = Store(tmp_path / "store")
    np.testing.assert_array_equal(frame.points, arrays["points"])
    assert frame.columns == ("x", "y", "z", "intensity", "elongation")
    assert frame.frame_id == "drive/123456"
    np.testing.assert_array_equal(frame.world_from_vehicle, arrays["pose"])
    objects = frame.ground_truth
    np.testing.assert_array_equal(objects.box, BOXES.astype(np.float32))
    assert [frame.class_names[label] for label in objects.label] == NAMES.tolist()
    assert objects.num_points.tolist() == [7, 0]
    assert objects.track.tolist() == ["a", "b"]
    np.testing.assert_array_equal(objects.speed, arrays["speed"].astype(np.float32))
    assert objects.level.tolist() == [0, 0]


def test_what_is_missing_is_filled_or_counted(tmp_path: Path) -> None:
    inside = BOXES[0, :3] + [[0, 0, 0], [0.5, 0.1, 0.3], [0, 0, 5]]  # two in the first box, one above it
    save(tmp_path / "drive" / "0.npz", points=inside)
    import_npz(tmp_path / "drive", tmp_path / "store", precision="exact")
    (frame,) = Store(tmp_path / "store")
    np.testing.assert_array_equal(frame.points[:, :3], inside.astype(np.float32))
    assert not frame.points[:, 3:].any()
    assert frame.ground_truth.num_points.tolist() == [2, 0]
    assert frame.ground_truth.track.tolist() == ["", ""]
    assert np.isnan(frame.ground_truth.speed).all()
    np.testing.assert_array_equal(frame.world_from_vehicle, np.eye(4))


def test_frames_are_in_natural_order_100_ms_apart(tmp_path: Path) -> None:
    for i in (10, 2, 1):
        save(tmp_path / "drive" / f"frame_{i}.npz", points=np.full((1, 3), i))
    import_npz(tmp_path / "drive", tmp_path / "store")
    store = Store(tmp_path / "store")
    assert [frame.points[0, 0] for frame in store] == [1, 2, 10]
    assert store.frame_ids == ("drive/0", "drive/100000", "drive/200000")


def test_folders_in_the_folder_are_segments(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(tmp_path / "drives" / name / "0.npz")
    (tmp_path / "drives" / "empty").mkdir()
    for workers in (1, 2):
        import_npz(tmp_path / "drives", tmp_path / str(workers), workers=workers)
    assert Store(tmp_path / "1").frame_ids == ("one/0", "two/0")
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "2")


def test_class_names_can_be_translated(tmp_path: Path) -> None:
    save(tmp_path / "drive" / "0.npz", names=np.array(["car", "VEHICLE"]))
    command = tool("import_frames", tmp_path / "drive", "--output", tmp_path / "store")
    said = run(command, exit_code=2).stderr
    assert "0.npz: class 'car' is not known; the classes are VEHICLE, PEDESTRIAN, SIGN, CYCLIST" in said
    assert "--map 'car=VEHICLE'" in said
    assert "2 VEHICLE" in run([*command, "--map", "car=VEHICLE"]).stdout


def test_a_frame_without_objects(tmp_path: Path) -> None:
    save(tmp_path / "drive" / "0.npz", boxes=np.zeros((0, 7)), names=np.zeros(0, "U1"))
    import_npz(tmp_path / "drive", tmp_path / "store")
    assert len(Store(tmp_path / "store")[0].ground_truth) == 0


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"points": None}, "no array 'points'; it has boxes, names"),
        ({"names": None}, "no array 'names'"),
        ({"points": np.zeros((5, 2))}, "points has 2 columns; 3 to 5 needed"),
        ({"points": np.zeros((5, 6))}, "points has 6 columns"),
        ({"points": np.zeros(5)}, "points is float64 (5,); float32 (N, N) needed"),
        ({"points": np.array([[0, 0, 0], [1, np.nan, 0]])}, "point 1 is not finite"),
        ({"boxes": np.zeros((2, 8))}, "boxes is float64 (2, 8); float32 (N, 7) needed"),
        ({"boxes": BOXES * [1, 1, 1, -1, 1, 1, 1]}, "a size that is not positive"),
        ({"boxes": BOXES * [np.inf, 1, 1, 1, 1, 1, 1]}, "not finite"),
        ({"names": np.array(["VEHICLE"])}, "names is <U7 (1,); text (2) needed"),
        ({"names": np.array([1, 2])}, "class '1' is not known"),
        ({"num_points": np.array([1, 2, 3])}, "num_points is int64 (3,); int64 (2) needed"),
        ({"pose": np.eye(3)}, "pose is float64 (3, 3); float64 (4, 4) needed"),
        ({"points": np.array([["a", "b", "c"]])}, "points is <U1 (1, 3); float32 (N, N) needed"),
        ({"names": np.array(["VEHICLE", None])}, "not a readable .npz file"),
    ],
)
def test_mistakes_name_the_file_and_the_array(tmp_path: Path, arrays: dict[str, Any], says: str) -> None:
    save(tmp_path / "drive" / "0.npz", **arrays)
    with pytest.raises(UserError) as caught:
        import_npz(tmp_path / "drive", tmp_path / "store")
    assert "0.npz: " in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    whole = save(tmp_path / "drive" / "0.npz").read_bytes()
    for content in (b"", b"hello", whole[:-30], whole[: len(whole) // 2]):
        (tmp_path / "drive" / "0.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"0\.npz: not a readable \.npz file"):
            import_npz(tmp_path / "drive", tmp_path / "store")


def test_a_missing_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        import_npz(tmp_path / "nowhere", tmp_path / "store")
    with pytest.raises(UserError, match=r"no \.npz file in it"):
        import_npz(tmp_path, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_second_import_skips_and_a_changed_folder_does_not(tmp_path: Path) -> None:
    save(tmp_path / "drive" / "0.npz")
    store = tmp_path / "store"
    assert len(import_npz(tmp_path / "drive", store).converted) == 1
    assert len(import_npz(tmp_path / "drive", store).converted) == 0
    save(tmp_path / "drive" / "1.npz")
    assert len(import_npz(tmp_path / "drive", store).converted) == 1
    assert len(Store(store)) == 2


def test_real_frames(real_data: Path, tmp_path: Path) -> None:
    import_npz(real_data / "pandaset", tmp_path)
    store = Store(tmp_path)
    files = sorted((real_data / "pandaset").glob("*.npz"))
    assert len(store) == len(files) == 28
    for index in (0, 27):
        with np.load(files[index]) as given:
            np.testing.assert_allclose(store[index].points[:, :3], given["points"][:, :3], atol=1 / 512, rtol=0)
            np.testing.assert_array_equal(store[index].ground_truth.num_points, given["num_points"])
    assert not check_store(tmp_path)[0].faults
