"""Stores: everything comes back, from any position, and no damage is ever read as data."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.data.store.arrow_points import PRECISIONS, Precision
from pcdet_poly.data.store.frame_store import Store, write_segment, write_store
from pcdet_poly.data.store.manifest import MANIFEST, read_manifest
from pcdet_poly.data.store.segment_file import open_writer, read_archive_directory, read_frame
from pcdet_poly.data.store.source_fingerprint import Source
from pcdet_poly.errors import UserError
from pcdet_poly.structures import Frame, GroundTruth
from tests.data.frames import assert_same_frame, make_frame

FRAMES = [make_frame(i, segment=f"segment {i // 3}/ä") for i in range(7)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_store(tmp_path / "store", FRAMES, precision="exact")
    return tmp_path / "store"


def test_exact_gives_every_field_back(folder: Path) -> None:
    store = Store(folder)
    assert len(store) == 7
    for given, got in zip(FRAMES, store, strict=True):
        assert_same_frame(given, got)


def test_compact_gives_everything_but_points_back_exactly(tmp_path: Path) -> None:
    for given, got in zip(FRAMES, write_store(tmp_path, FRAMES, precision="compact"), strict=True):
        assert_same_frame(given, got, points=False)
        np.testing.assert_allclose(got.points[:, :3], given.points[:, :3], atol=1 / 512, rtol=0)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_frame_of_nothing(tmp_path: Path, precision: Precision) -> None:
    empty = Frame(
        points=np.zeros((0, 8), np.float32),
        ground_truth=GroundTruth.empty(),
        world_from_vehicle=np.eye(4),
        timestamp_us=0,
        segment="",
    )
    assert_same_frame(write_store(tmp_path, [empty], precision=precision)[0], empty)


def test_random_access_equals_sequential(folder: Path) -> None:
    in_order = [frame.frame_id for frame in Store(folder)]
    store = Store(folder)
    for i in (5, 0, 6, 2, -1, -7):
        assert store[i].frame_id == in_order[i]
    assert store.frame_ids == tuple(in_order) == tuple(frame.frame_id for frame in FRAMES)
    assert store.class_names == FRAMES[0].class_names


def test_labels_are_read_without_points(folder: Path) -> None:
    store = Store(folder)
    for i in (0, 4, -1):
        labels = store.read_labels(i)
        assert_same_frame(labels, FRAMES[i], points=False)
        assert labels.points.shape == (0, 8)
    directory = read_archive_directory(folder / store.manifest.segments[0].file)
    spoil(folder / store.manifest.segments[0].file, int(directory.start[3]) + 20, 1)  # in the points of frame 1
    assert_same_frame(store.read_labels(1), FRAMES[1], points=False)
    with pytest.raises(UserError, match="frame 1: wrong checksum"):
        store[1]
    spoil(folder / store.manifest.segments[0].file, int(directory.start[2]) + 20, 1)
    with pytest.raises(UserError, match="frame 1: wrong checksum"):
        store.read_labels(1)


def test_a_frame_is_read_without_the_others(folder: Path) -> None:
    path = folder / read_manifest(folder).segments[0].file
    directory = read_archive_directory(path)
    with open(path, "r+b") as file:  # spoil frames 0 and 2 of 3
        for entry in (0, 1, 4, 5):
            file.seek(int(directory.start[entry]))
            file.write(b"\xff" * 8)
    assert_same_frame(Store(folder)[1], FRAMES[1])


def test_positions_outside(folder: Path) -> None:
    for index in (7, -8):
        with pytest.raises(IndexError, match=f"frame {index} of 7"):
            Store(folder)[index]


def test_a_store_goes_to_another_process(folder: Path) -> None:
    store = Store(folder)
    store[0]
    assert_same_frame(pickle.loads(pickle.dumps(store))[4], FRAMES[4])


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_store(tmp_path / name, FRAMES)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_other_tools_read_it(folder: Path, tmp_path: Path) -> None:
    path = folder / read_manifest(folder).segments[0].file
    assert (
        "Done testing"
        in subprocess.run(
            [sys.executable, "-m", "zipfile", "-t", path], capture_output=True, text=True, check=True
        ).stdout
    )
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[:2] == ["000000.json", "000000.arrow"]
        value = json.loads(archive.read("000001.json"))
    assert value["timestamp_us"] == FRAMES[1].timestamp_us
    np.testing.assert_array_equal(np.array(value["objects"]["box"], np.float32), FRAMES[1].ground_truth.box)
    assert value["objects"]["speed"][0] == [None, None]


@pytest.mark.parametrize(("precision", "other"), [("compact", "exact"), ("exact", "compact")])
def test_the_documentation_reads_it(precision: Precision, other: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", FRAMES, precision=precision)
    text = (Path(__file__).parents[3] / "docs" / "data_format.md").read_text("utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def column" in block]
    # The path last: it may hold a 17 itself.
    code = code.replace("17", "01").replace("SEGMENT.zip", str(tmp_path / "store" / store.manifest.segments[0].file))
    lines = [
        line for line in code.splitlines() if other not in line and (precision == "compact" or "steps" not in line)
    ]
    names: dict[str, np.ndarray] = {}
    exec("\n".join(lines), names)
    np.testing.assert_array_equal(names["x"], store[1].points[:, 0])
    np.testing.assert_array_equal(names["intensity"], store[1].points[:, 3])


def test_infinity_in_labels_is_refused(tmp_path: Path) -> None:
    frame = make_frame(0)
    frame.ground_truth.box[0, 0] = np.inf
    with pytest.raises(UserError, match=r"1 boxes are not finite"):
        write_store(tmp_path / "store", [frame])
    assert not (tmp_path / "store").exists()


def test_two_segments_of_one_name_are_refused(tmp_path: Path) -> None:
    frames = [make_frame(0, segment="a"), make_frame(1, segment="b"), make_frame(2, segment="a")]
    with pytest.raises(UserError, match="segment a was given twice"):
        write_store(tmp_path, frames)


# Damage


def spoil(path: Path, position: int, change: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= change
    path.write_bytes(data)


def read_or_reason(folder: Path) -> list[Frame] | str:
    try:
        return list(Store(folder))
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_flipped_bit_is_read_as_data(tmp_path: Path, precision: Precision) -> None:
    store = write_store(tmp_path, [make_frame(i, num_points=60, num_objects=2) for i in range(2)], precision=precision)
    frames = list(store)
    path = tmp_path / store.manifest.segments[0].file
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    reasons = []
    for position in rng.choice(len(whole), 200, replace=False):
        spoil(path, position, 1 << int(rng.integers(8)))
        result = read_or_reason(tmp_path)
        path.write_bytes(whole)
        if isinstance(result, str):
            reasons.append(result)
        else:  # a bit that nobody reads: in the header before an entry
            for given, got in zip(frames, result, strict=True):
                assert_same_frame(given, got)
    assert len(reasons) > 175
    assert all(path.name in reason and "\n" not in reason for reason in reasons)


def test_damage_names_the_frame(folder: Path) -> None:
    path = folder / read_manifest(folder).segments[1].file
    spoil(path, int(read_archive_directory(path).start[3]) + 50, 4)
    store = Store(folder)
    with pytest.raises(UserError, match=r"\.zip: frame 1: wrong checksum"):
        store[4]
    assert_same_frame(store[3], FRAMES[3])


def test_no_cut_file_is_read(folder: Path) -> None:
    path = folder / read_manifest(folder).segments[0].file
    whole = path.read_bytes()
    for length in [0, 1, len(whole) - 1, *np.random.default_rng(0).integers(0, len(whole), 40)]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"\.zip: .*run the conversion again"):
            Store(folder)[0]


def test_another_segments_file_in_its_place(folder: Path) -> None:
    one, other, _ = (folder / entry.file for entry in read_manifest(folder).segments)
    other.write_bytes(one.read_bytes())
    with pytest.raises(UserError, match="not the file the manifest describes"):
        Store(folder)[3]


def test_a_foreign_archive(tmp_path: Path) -> None:
    path = tmp_path / "foreign.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="not a segment of frames"):
        read_archive_directory(path)


def test_a_missing_segment(folder: Path) -> None:
    (folder / read_manifest(folder).segments[0].file).unlink()
    with pytest.raises(UserError, match="missing"):
        Store(folder)[0]


def test_a_missing_folder_and_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Store(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a frame store"):
        Store(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace('"version": 2', '"version": 99'), "format version 99"),
        (lambda text: text.replace("pcdet_poly frames", "something"), "not the manifest of a frame store"),
        (lambda text: text[:-20], "damaged"),
        (lambda text: text.replace('"num_points": ', '"num_points": 1'), "wrong checksum"),
        (lambda text: "[]", "not the manifest"),
        (lambda text: "", "damaged"),
    ],
)
def test_unusable_manifests(folder: Path, change: object, says: str) -> None:
    path = folder / MANIFEST
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(UserError, match=says):
        Store(folder)


def test_a_segment_without_frames_is_one_line(tmp_path: Path) -> None:
    """A StopIteration instead would end a caller's loop over sources without a word."""
    source = Source(tmp_path / "empty", num_bytes=0, fingerprint=0)
    with pytest.raises(UserError, match="empty: no frame in it"):
        write_segment(tmp_path, [], source, precision="exact")
    assert not list(tmp_path.iterdir())


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "segment.zip"

    def interrupted() -> None:
        with open_writer(path, "exact") as writer:
            writer.write_frame(FRAMES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_segment_alone_is_enough_to_read_its_frames(folder: Path) -> None:
    directory = read_archive_directory(folder / read_manifest(folder).segments[0].file)
    assert len(directory) == 3
    assert_same_frame(read_frame(directory, 2), FRAMES[2])


def test_a_dataset_of_waymos_size_opens_at_once(tmp_path: Path) -> None:
    import sys

    from pcdet_poly.data.store.manifest import Manifest, SegmentEntry, write_manifest

    def entry(i: int) -> SegmentEntry:
        stamps = tuple(1_550_083_467_346_370 + 100_000 * (198 * i + k) for k in range(198))
        objects = {"VEHICLE": 6000, "PEDESTRIAN": 3000, "SIGN": 4000, "CYCLIST": 60}
        return SegmentEntry(f"segment-{i:04d}", f"{i}.zip", 1, 2, f"{i}.tfrecord", 3, 4, 5, objects, stamps)

    write_manifest(tmp_path, Manifest({}, tuple(entry(i) for i in range(798))))
    num_calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal num_calls
        num_calls += event == "call"

    sys.setprofile(count)
    try:
        store = Store(tmp_path)
        assert len(store) == len(store.frame_ids) == 158_004
    finally:
        sys.setprofile(None)
    assert num_calls < 2 * 158_004  # calls of Python functions, at most one a frame: a clock would measure the machine
