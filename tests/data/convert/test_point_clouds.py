"""Clouds of other tools become points of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.data.convert.point_clouds import read_cloud
from pcdet_poly.errors import UserError


def points(columns: int = 5) -> np.ndarray:
    return np.random.default_rng(0).uniform(-20, 20, (50, columns)).astype(np.float32)


def write_ply(path: Path, values: np.ndarray, name: str | None = "intensity", binary: bool = False) -> None:
    fields = ["x", "y", "z", *([name] if name else [])]
    kind = "binary_little_endian" if binary else "ascii"
    header = ["ply", f"format {kind} 1.0", f"element vertex {len(values)}"]
    header += [f"property float {field}" for field in fields] + ["end_header", ""]
    rows = values[:, : len(fields)]
    body = rows.tobytes() if binary else "\n".join(" ".join(map(str, row)) for row in rows.tolist()).encode()
    path.write_bytes("\n".join(header).encode() + body)


def write_pcd(path: Path, values: np.ndarray, binary: bool = False) -> None:
    header = ["VERSION .7", "FIELDS x y z intensity", "SIZE 4 4 4 4", "TYPE F F F F", "COUNT 1 1 1 1"]
    header += [f"WIDTH {len(values)}", "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0", f"POINTS {len(values)}"]
    header += [f"DATA {'binary' if binary else 'ascii'}", ""]
    rows = values[:, :4]
    body = rows.tobytes() if binary else "\n".join(" ".join(map(str, row)) for row in rows.tolist()).encode()
    path.write_bytes("\n".join(header).encode() + body)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("ending", ["ply", "pcd"])
def test_ply_and_pcd(ending: str, binary: bool, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    (write_ply if ending == "ply" else write_pcd)(path, points(), binary=binary)
    found = read_cloud(path).points
    # Text has six digits: half of the last is 5e-6 of a value at most.
    np.testing.assert_allclose(found[:, :4], points()[:, :4], rtol=1e-5)
    assert not found[:, 4].any()


def test_ply_without_intensity_and_with_another_name(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", points(), None)
    assert not read_cloud(tmp_path / "a.ply").points[:, 3].any()
    write_ply(tmp_path / "b.ply", points(), "reflectance")
    # As above.
    np.testing.assert_allclose(read_cloud(tmp_path / "b.ply").points[:, 3], points()[:, 3], rtol=1e-5)


@pytest.mark.parametrize("columns", [4, 5])
def test_bin(columns: int, tmp_path: Path) -> None:
    points(columns).tofile(tmp_path / "a.bin")
    found = read_cloud(tmp_path / "a.bin", bin_columns=columns).points
    np.testing.assert_array_equal(found[:, :columns], points(columns))


@pytest.mark.parametrize("columns", [3, 4, 5])
def test_npy_and_npz_without_labels(columns: int, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", points(columns))
    np.savez(tmp_path / "a.npz", points=points(columns))
    for name in ("a.npy", "a.npz"):
        frame = read_cloud(tmp_path / name)
        np.testing.assert_array_equal(frame.points[:, :columns], points(columns))
        assert not frame.points[:, columns:].any()
        assert len(frame.ground_truth) == 0


def test_npz_with_labels(tmp_path: Path) -> None:
    box = np.array([[1, 2, 0.5, 4, 2, 1.5, 0.3]], np.float32)
    np.savez(tmp_path / "a.npz", points=points(), boxes=box, names=np.array(["CYCLIST"]))
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npz").ground_truth.box, box)


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    values = points()
    values[3, 1], values[7, 0] = np.nan, np.inf
    np.save(tmp_path / "a.npy", values)
    assert len(read_cloud(tmp_path / "a.npy").points) == 48


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.las", b"x", "cannot read .las"),
        ("a", b"x", "cannot read a file without ending"),
        ("a.bin", bytes(36), "36 bytes are not rows of 4 float32; it may be cut off"),
        ("a.npy", b"x", "not a readable .npy"),
        ("a.npz", b"x", "not a readable .npz"),
        ("a.ply", b"x", "not a PLY file"),
        ("a.pcd", b"x", "not a PCD file"),
        ("absent.ply", None, "no such file"),
    ],
)
def test_bad_files_are_one_line(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_cloud(tmp_path / name)
    assert "\n" not in str(error.value)


def test_arrays_of_other_shapes_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 2)))
    np.savez(tmp_path / "b.npz", other=np.zeros(1))
    for name, message in (("a.npy", r"float64 \(4, 2\)"), ("b.npz", "points")):
        with pytest.raises(UserError, match=message):
            read_cloud(tmp_path / name)
