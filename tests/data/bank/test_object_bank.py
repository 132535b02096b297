"""Object banks: what is in them, by a plain search; access, filters, damage, and the command that makes one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.data.bank.build_bank import build_object_bank, find_points_in_boxes
from pcdet_poly.data.bank.object_bank import ObjectBank
from pcdet_poly.data.store.frame_store import Store, write_store
from pcdet_poly.errors import UserError
from pcdet_poly.locks import lock_file
from pcdet_poly.structures import Frame
from tests.data.frames import make_frame, write_unchecked_store
from tests.data.records import run, tool

FEATURES = ("intensity", "elongation", "return_number")


def crowded_frame(seed: int, segment: str) -> Frame:
    """Boxes large enough to hold points and to overlap; a pose that is a rotation; sometimes nothing at all."""
    frame = make_frame(seed, segment=segment, num_points=400, num_objects=0 if seed == 3 else 9)
    rng = np.random.default_rng(seed)
    frame.points[:, :3] = rng.uniform(-6, 6, (400, 3))
    frame.ground_truth.box[:, :3] = rng.uniform(-5, 5, (len(frame.ground_truth), 3))
    angle = rng.uniform(-3, 3)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = 2e4
    return replace(frame, world_from_vehicle=pose)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "a", [crowded_frame(i, f"s{i // 3}") for i in range(5)])
    write_store(folder / "b", [crowded_frame(i, "t") for i in range(5, 8)])
    return [folder / "a", folder / "b"]


@pytest.fixture(scope="module")
def bank(stores: list[Path]) -> ObjectBank:
    return build_object_bank(stores, stores[0].parent / "objects.arrow")


def inside(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(P,) bool, as one writes it down."""
    x, y, z = (points[:, :3].astype(float) - box[:3].astype(float)).T
    cos, sin = np.cos(float(box[6])), np.sin(float(box[6]))
    along, across = x * cos + y * sin, y * cos - x * sin
    return (abs(along) <= box[3] / 2) & (abs(across) <= box[4] / 2) & (abs(z) <= box[5] / 2)


def test_points_of_boxes_equal_a_plain_search() -> None:
    frame = crowded_frame(1, "s")
    rows = find_points_in_boxes(frame.points, frame.ground_truth.box)
    plain = [np.flatnonzero(inside(frame.points, box)) for box in frame.ground_truth.box]
    assert [list(found) for found in rows] == [list(found) for found in plain]
    every = np.concatenate(plain)
    assert len(every) > len(set(every)) > 10  # some points lie in two boxes


def test_every_object_with_a_point_is_in_it(bank: ObjectBank, stores: list[Path]) -> None:
    found = iter(range(len(bank)))
    for position, frame in enumerate([*Store(stores[0]), *Store(stores[1])]):
        columns = [frame.columns.index(name) for name in ("x", "y", "z", *FEATURES)]
        labels = frame.ground_truth
        for i, box in enumerate(labels.box):
            points = frame.points[inside(frame.points, box)][:, columns]
            if not len(points):
                continue
            index = next(found)
            stored = bank[index]
            np.testing.assert_array_equal(stored.points[:, :3], points[:, :3])  # a compact store's points are exact
            np.testing.assert_allclose(stored.points[:, 3:], np.minimum(points[:, 3:], 65504), rtol=2**-11, atol=1e-7)
            np.testing.assert_array_equal(stored.box, box)
            assert (stored.label, stored.level, stored.frame) == (labels.label[i], labels.level[i], position)
            assert bank.read_frame_id(index) == frame.frame_id
            seen = frame.world_from_vehicle[:2, :2] @ stored.velocity
            # Speeds below 32 m/s, turned there and back in float32: six roundings of 1e-6 m/s.
            np.testing.assert_allclose(seen, labels.speed[i], atol=1e-5)
    assert next(found, None) is None
    assert len(bank) > 20


def test_points_of_an_exact_store_are_within_two_millimetres(tmp_path: Path) -> None:
    frame = crowded_frame(2, "s")
    write_store(tmp_path / "store", [frame], precision="exact")
    bank = build_object_bank([tmp_path / "store"], tmp_path / "objects.arrow")
    plain = [frame.points[inside(frame.points, box), :3] for box in frame.ground_truth.box]
    plain = [points for points in plain if len(points)]
    assert len(plain) == len(bank)
    for index, points in enumerate(plain):
        np.testing.assert_allclose(bank[index].points[:, :3], points, atol=1 / 512 + 1e-6, rtol=0)


def test_filters_equal_a_plain_search(bank: ObjectBank) -> None:
    objects = [bank[i] for i in range(len(bank))]
    for name, min_points, max_level, every in [
        ("VEHICLE", 1, 2, 1),
        ("PEDESTRIAN", 3, 2, 1),
        ("CYCLIST", 1, 1, 1),
        ("SIGN", 2, 1, 2),
    ]:
        chosen = []
        for i, o in enumerate(objects):
            level = o.level or (2 if len(o.points) <= 5 else 1)
            of_class = bank.header.class_names[o.label] == name
            if of_class and len(o.points) >= min_points and level <= max_level and o.frame % every == 0:
                chosen.append(i)
        found = bank.select(name, min_points=min_points, max_level=max_level, every=every)
        assert found.tolist() == chosen
        np.testing.assert_array_equal(bank.read_boxes(found), np.array([objects[i].box for i in chosen]).reshape(-1, 7))
    with pytest.raises(UserError, match="no class TRAM in it, only VEHICLE"):
        bank.select("TRAM")


@pytest.mark.parametrize("every", [2, 3])
def test_a_bank_of_every_nth_frame(stores: list[Path], bank: ObjectBank, tmp_path: Path, every: int) -> None:
    part = build_object_bank(stores, tmp_path / "part.arrow", every=every)
    frames = bank.read_column("frame")
    assert part.read_column("frame").tolist() == frames[frames % every == 0].tolist()
    assert (part.header.every, part.header.num_frames) == (every, 8)


def test_the_file_does_not_depend_on_workers_and_leaves_nothing_beside_it(stores: list[Path], tmp_path: Path) -> None:
    bank = build_object_bank(stores, tmp_path / "one.arrow")
    printed = run(tool("build_object_bank", *stores, "--output", tmp_path / "two.arrow", "--workers", "2")).stdout
    assert f"{len(bank)} objects" in printed
    assert (tmp_path / "one.arrow").read_bytes() == (tmp_path / "two.arrow").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.arrow", "two.arrow"]


def test_it_goes_to_another_process(bank: ObjectBank) -> None:
    again = pickle.loads(pickle.dumps(bank))
    assert len(pickle.dumps(bank)) < 1000
    np.testing.assert_array_equal(again[5].points, bank[5].points)


def test_other_tools_read_it(bank: ObjectBank) -> None:
    import pyarrow as pa

    table = pa.ipc.open_file(bank.path).read_all()
    row = table.slice(7, 1).to_pylist()[0]
    anchor = np.rint(np.float32(row["box"][:3]) * 256)
    np.testing.assert_array_equal((np.array(row["xyz"]) + anchor) / 256, bank[7].points[:, :3])
    assert row["num_points"] == len(row["features"]) == len(bank[7].points)


def test_positions_outside(bank: ObjectBank) -> None:
    for index in (-1, len(bank)):
        with pytest.raises(IndexError, match=f"object {index} of {len(bank)}"):
            bank[index]


def test_frames_without_objects_and_stores_without_frames(tmp_path: Path) -> None:
    write_store(tmp_path / "bare", [make_frame(0, num_objects=0)])
    bank = build_object_bank([tmp_path / "bare"], tmp_path / "objects.arrow")
    assert len(bank) == len(bank.select("VEHICLE")) == 0
    write_store(tmp_path / "empty", [])
    with pytest.raises(UserError, match="no frames in it"):
        build_object_bank([tmp_path / "empty"], tmp_path / "none.arrow")
    assert not (tmp_path / "none.arrow").exists()


def test_stores_with_fewer_columns_or_other_classes(stores: list[Path], tmp_path: Path) -> None:
    frame = crowded_frame(1, "s")
    few = replace(frame, points=frame.points[:, :5].copy(), columns=frame.columns[:5])
    write_store(tmp_path / "few", [few])
    assert build_object_bank([stores[0], tmp_path / "few"], tmp_path / "both.arrow").header.features == FEATURES[:2]
    write_store(tmp_path / "other", [replace(frame, class_names=("A", "B", "C", "D"))])
    with pytest.raises(UserError, match=r"other: has classes A, B, C, D, \S+/a VEHICLE"):
        build_object_bank([stores[0], tmp_path / "other"], tmp_path / "both.arrow")


def test_a_point_far_from_its_box_is_refused(tmp_path: Path) -> None:
    frame = crowded_frame(1, "s")
    frame.ground_truth.box[0] = (0, 0, 0, 400, 400, 50, 0)
    frame.points[0, :3] = (150, 0, 0)
    write_unchecked_store(tmp_path / "store", [frame])
    with pytest.raises(UserError, match=r"frame s/\d+: a point lies more than 128 m from the centre"):
        build_object_bank([tmp_path / "store"], tmp_path / "objects.arrow")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


# Damage


def read_or_reason(path: Path, wanted: ObjectBank) -> str | None:
    """Why the bank at `path` cannot be read; None if it holds what is wanted."""
    try:
        found = ObjectBank(path)
        assert len(found) == len(wanted)
        for i in range(len(found)):
            np.testing.assert_array_equal(found[i].points, wanted[i].points)
            np.testing.assert_array_equal(found[i].box, wanted[i].box)
            assert (found[i].label, found.read_frame_id(i)) == (wanted[i].label, wanted.read_frame_id(i))
    except UserError as error:
        return str(error)
    return None


def test_no_flipped_bit_is_read_as_data(bank: ObjectBank, tmp_path: Path) -> None:
    whole = bank.path.read_bytes()
    path = tmp_path / "spoiled.arrow"
    rng = np.random.default_rng(0)
    noticed = 0
    for position in rng.choice(len(whole), 300, replace=False):
        data = bytearray(whole)
        data[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        reason = read_or_reason(path, bank)
        if reason is not None:
            assert "spoiled.arrow" in reason
            assert "\n" not in reason
            noticed += 1
    assert noticed > 200


def test_no_cut_or_foreign_file_is_read(bank: ObjectBank, tmp_path: Path) -> None:
    whole = bank.path.read_bytes()
    path = tmp_path / "objects.arrow"
    for length in [0, 1, len(whole) - 1, *np.random.default_rng(0).integers(0, len(whole), 30)]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"objects\.arrow: not an object bank"):
            ObjectBank(path)
    with pytest.raises(UserError, match="no such object bank"):
        ObjectBank(tmp_path / "nowhere")


def test_another_version_is_refused(stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcdet_poly.data.bank.bank_file.VERSION", 9)
    bank = build_object_bank(stores, tmp_path / "objects.arrow")
    monkeypatch.undo()
    with pytest.raises(UserError, match="format version 9, this program reads 1"):
        ObjectBank(bank.path)


def test_leftovers_of_killed_builds_go_and_two_builds_at_once_do_not(stores: list[Path], tmp_path: Path) -> None:
    names = ("a.arrow.0abcd_12", "a.arrow.00000000", "b.arrow.aaaaaaaa")
    ours, mine, other = (tmp_path / f".{name}.parts" for name in names)
    for folder in (ours, mine, other):
        folder.mkdir()
        (folder / "0.arrow").touch()
    (mine / "notes.txt").touch()
    link = tmp_path / ".a.arrow.11111111.parts"
    link.symlink_to(other)
    build_object_bank(stores, tmp_path / "a.arrow")
    assert {path.name for path in tmp_path.iterdir()} == {"a.arrow", mine.name, other.name, link.name}
    assert (other / "0.arrow").exists()
    with (
        lock_file(tmp_path / "a.arrow", work="build-bank"),
        pytest.raises(UserError, match=r"a\.arrow: another build-bank is writing it \(process"),
    ):
        build_object_bank(stores, tmp_path / "a.arrow")
