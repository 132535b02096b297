"""What systems and editors leave in folders stops no command: it is skipped, and counted in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.commands.detectors.detect import find_clouds
from pcdet_poly.data.convert.from_npz import import_npz
from pcdet_poly.data.convert.from_waymo import convert_waymo, find_waymo_sources
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from pcdet_poly.foreign_files import is_foreign
from pcdet_poly.paths import parse_path
from pcdet_poly.waymo import encode_scan, write_records
from tests.waymo.scans import make_scan
from tests.waymo.v2.segments_v2 import SEGMENT, write_made_up

LEFT_BEHIND = (
    "._{name}",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "{name}~",
    ".{name}.swp",
    "#{name}#",
    "{name}.bak",
    "{name}.crdownload",
    ".{name}.0a1b2c3d.part",
    "__MACOSX/{name}",
    ".Trash-1000/files/{name}",
    "@eaDir/{name}",
)


def leave_behind(folder: Path, name: str) -> int:
    """Put nonsense under all these names into `folder`, and a folder with the name of a file; how many files."""
    for pattern in LEFT_BEHIND:
        path = folder / pattern.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nonsense")
    (folder / f"folder.{name.rpartition('.')[2]}").mkdir()
    return len(LEFT_BEHIND)


def assert_one_line(capsys: pytest.CaptureFixture[str], folder: Path, count: int) -> None:
    lines = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{folder}: {count} files skipped, which hold no data to read: ")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    write_records(folder / "a.tfrecord", [encode_scan(make_scan(1))])
    return folder


def test_tfrecords(records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = leave_behind(records, "a.tfrecord")
    convert_waymo([str(records)], tmp_path / "store")
    assert len(Store(tmp_path / "store")) == 1
    assert_one_line(capsys, records, count)


def test_patterns_skip_them_and_search_folders(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave_behind(records, "a.tfrecord")
    shutil.copy(records / "a.tfrecord", records / "folder.tfrecord" / "inside.tfrecord")
    found = find_waymo_sources([str(records / "*.tfrecord*")])
    assert [path.name for path in found] == ["a.tfrecord", "inside.tfrecord"]
    assert_one_line(capsys, records / "*.tfrecord*", 4)  # with # around it, ~, .bak and .crdownload


@pytest.mark.parametrize("name", ["a.tfrecord-00001-of-00010", "a.tfrecords", "a.with.dots.tfrecord", "a b.tfrecord"])
def test_names_of_tfrecords(name: str, records: Path) -> None:
    (records / "a.tfrecord").rename(records / name)
    assert [path.name for path in find_waymo_sources([str(records)])] == [name]


def test_a_compressed_one_is_not_passed_over(records: Path, tmp_path: Path) -> None:
    (records / "b.tfrecord.gz").write_bytes(b"\x1f\x8b" + bytes(40))
    with pytest.raises(UserError, match=r"b\.tfrecord\.gz: record 0 .* not a TFRecord file"):
        convert_waymo([str(records)], tmp_path / "store")


def test_v2_components(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Components that nobody reads are no news."""
    scans = write_made_up(tmp_path / "v2")
    (tmp_path / "v2" / "camera_image").mkdir()
    (tmp_path / "v2" / "camera_image" / f"{SEGMENT}.parquet").write_bytes(b"pictures")
    count = leave_behind(tmp_path / "v2" / "lidar", f"{SEGMENT}.parquet")
    convert_waymo([str(tmp_path / "v2")], tmp_path / "store")
    assert len(Store(tmp_path / "store")) == len(scans)
    assert_one_line(capsys, tmp_path / "v2", count)


def test_nothing_to_skip_is_no_line(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_waymo_sources([str(records)])
    assert capsys.readouterr().err == ""


def test_own_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {"points": np.ones((3, 4)), "boxes": np.zeros((0, 7)), "names": np.zeros(0, "U1")}
    folder = tmp_path / "frames"
    folder.mkdir()
    np.savez(folder / "1.npz", **arrays)
    leave_behind(folder, "1.npz")
    import_npz(folder, tmp_path / "store")
    assert len(Store(tmp_path / "store")) == 1
    assert_one_line(capsys, folder, 10)  # those in folders are not looked at


def test_clouds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clouds"
    folder.mkdir()
    (folder / "1.ply").write_bytes(b"ply")
    leave_behind(folder, "1.ply")
    assert find_clouds([folder]) == [folder / "1.ply"]
    assert_one_line(capsys, folder, 10)


@pytest.mark.parametrize("folder", ["/data/.hidden", "gs://bucket/.hidden"])
def test_the_folder_itself_may_have_any_name(folder: str) -> None:
    place = parse_path(folder)
    assert not is_foreign(place / "a.tfrecord", place)
    assert is_foreign(place / ".a.tfrecord", place)
    assert is_foreign(place / "x" / "Thumbs.DB", place)
