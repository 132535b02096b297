"""Pasting: nothing collides, nothing is left inside, objects are those of the bank, and one seed gives one frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import shapely.affinity
from numpy.testing import assert_array_equal

from pcdet_poly.config.sections.data import PasteConfig
from pcdet_poly.data.bank.build_bank import build_object_bank
from pcdet_poly.data.bank.paste import (
    Paster,
    draw_objects,
    find_covered_points,
    find_free_boxes,
    open_paster,
    paste_objects,
)
from pcdet_poly.data.load.sweeps import add_past_sweeps
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.errors import UserError
from pcdet_poly.structures import WAYMO_CLASSES, Frame
from tests.data.bank.test_object_bank import inside
from tests.data.frames import make_frame
from tests.data.load.test_sweeps import pose

CLASSES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")
MANY = (60, 20, 20)


def street(seed: int) -> Frame:
    """Objects on a plane of 60 x 60 m, each with points in it, and points everywhere else."""
    rng = np.random.default_rng(seed)
    frame = make_frame(seed, num_points=4000, num_objects=25)
    box = frame.ground_truth.box
    box[:, :2], box[:, 2] = rng.uniform(-30, 30, (25, 2)), 0
    frame.points[:, :3] = rng.uniform((-35, -35, -2), (35, 35, 2), (4000, 3))
    frame.points[:1000, :3] = np.repeat(box[:, :3], 40, axis=0) + rng.uniform(-0.2, 0.2, (1000, 3))
    return replace(frame, world_from_vehicle=pose(float(rng.uniform(-3, 3)), 0, (1e4, 2e4, 50)))


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    write_store(folder / "store", [street(i) for i in range(100, 104)])
    return build_object_bank([folder / "store"], folder / "objects.arrow").path


def paster(bank: Path, *, returns: tuple[int, ...] = (1, 2), **settings: object) -> Paster:
    cfg = PasteConfig.model_validate({"bank": str(bank), "objects": MANY, "fill": False, **settings})
    return open_paster(cfg, CLASSES, returns)


def rectangle(box: np.ndarray) -> shapely.Polygon:
    x, y, _, length, width, _, heading = box.astype(float)
    flat = shapely.box(-length / 2, -width / 2, length / 2, width / 2)
    return shapely.affinity.translate(shapely.affinity.rotate(flat, heading, (0, 0), use_radians=True), x, y)


@pytest.mark.parametrize("seed", range(4))
def test_pasted_boxes_are_free_and_empty_but_for_their_own_points(bank: Path, seed: int) -> None:
    frame = street(seed)
    full = paste_objects(frame, np.random.default_rng(seed), paster(bank))
    num_own = len(frame.ground_truth)
    added = full.ground_truth[num_own:]
    assert len(added) > 10
    assert_array_equal(full.ground_truth[:num_own].box, frame.ground_truth.box)
    shapes = [rectangle(box) for box in full.ground_truth.box]
    for i in range(num_own, len(shapes)):
        # m2: corners in float32 are 4e-6 m off, along sides of up to 20 m.
        assert all(shapes[i].intersection(shapes[j]).area < 1e-3 for j in range(i))
    total = 0
    for box, count in zip(added.box, added.num_points, strict=True):
        assert inside(full.points, box).sum() == count >= 5
        total += count
    left = frame.points[~np.any([inside(frame.points, box) for box in added.box], axis=0)]
    assert_array_equal(full.points[: len(left)], left)
    assert len(full.points) == len(left) + total
    assert set(added.track) == {"pasted"}


def test_objects_are_those_of_the_bank_seen_from_the_new_pose(bank: Path) -> None:
    frame, chosen = street(1), paster(bank)
    full = paste_objects(frame, np.random.default_rng(1), chosen)
    boxes = chosen.bank.read_boxes(np.arange(len(chosen.bank)))
    start = len(full.points) - full.ground_truth.num_points[25:].sum()
    for i in range(25, len(full.ground_truth)):
        (index,) = np.flatnonzero((boxes == full.ground_truth.box[i]).all(axis=1))
        original = chosen.bank[int(index)]
        end = start + full.ground_truth.num_points[i]
        rows = full.points[start:end]
        assert_array_equal(rows[:, [0, 1, 2, 3, 4, 6]], original.points)
        assert (rows[:, [5, 7]] == 0).all()  # no_label_zone and lidar, which the bank leaves out
        assert full.ground_truth.label[i] == original.label
        assert full.ground_truth.level[i] == original.level
        seen = frame.world_from_vehicle[:2, :2].T @ full.ground_truth.speed[i]
        # Speeds below 32 m/s, turned there and back in float32: six roundings of 1e-6 m/s.
        np.testing.assert_allclose(seen, original.velocity, atol=1e-5)
        start = end
    assert start == len(full.points)


def test_the_frame_is_left_alone_and_one_seed_gives_one_frame(bank: Path) -> None:
    frame, chosen = street(2), paster(bank)
    before = frame.points.copy()
    a, b, c = (paste_objects(frame, np.random.default_rng(seed), chosen) for seed in (1, 1, 2))
    assert_array_equal(frame.points, before)
    assert_array_equal(a.points, b.points)
    assert_array_equal(a.ground_truth.box, b.ground_truth.box)
    assert a.ground_truth.box.shape != c.ground_truth.box.shape or (a.ground_truth.box != c.ground_truth.box).any()


def test_free_equals_one_box_after_the_other() -> None:
    rng = np.random.default_rng(0)
    box = np.concatenate([rng.uniform(-12, 12, (60, 2)), rng.uniform(1, 4, (60, 4)), rng.uniform(-3, 3, (60, 1))], 1)
    box = np.insert(box, 2, 0.0, axis=1)[:, :7].astype(np.float32)
    candidates, others = box[:40], box[40:]
    taken = [rectangle(one) for one in others]
    wanted = []
    for one in candidates:
        shape = rectangle(one)
        # m2: shapely computes in float64, and no two of these boxes share so little.
        wanted.append(all(shape.intersection(other).area < 1e-6 for other in taken))
        taken += [shape] if wanted[-1] else []
    assert find_free_boxes(candidates, others).tolist() == wanted
    assert 3 < sum(wanted) < 37
    assert not find_free_boxes(np.repeat(box[:1], 3, axis=0), others[:0])[1:].any()  # the same object twice


def row_of_boxes(*places: float) -> np.ndarray:
    """Boxes of 2 x 2 m along x, centres at `places`."""
    return np.array([[x, 0, 0, 2, 2, 2, 0] for x in places], np.float32)


@pytest.mark.parametrize(
    ("collision", "wanted"),
    [
        # 0 - 1 - 2 meet like links of a chain, 3 stands alone, 4 meets a labelled object, and 5 meets 4.
        ("later", [True, False, True, True, False, True]),
        ("earlier", [False, False, True, True, False, True]),
        ("both", [False, False, False, True, False, False]),
    ],
)
def test_which_of_two_boxes_goes(collision: str, wanted: list[bool]) -> None:
    box, labelled = row_of_boxes(0, 1.5, 3, 10, 20, 21.5), row_of_boxes(18.5)
    free = find_free_boxes(box, labelled, np.zeros(6, int), collision)  # type: ignore[arg-type]
    assert free.tolist() == wanted


@pytest.mark.parametrize("collision", ["later", "earlier", "both"])
def test_boxes_of_another_class_are_there_before(collision: str) -> None:
    box = row_of_boxes(0, 1.5, 3)
    free = find_free_boxes(box, box[:0], np.array([1, 0, 0]), collision)  # type: ignore[arg-type]
    # The second goes for the first; it is no rival of the third any more, but for `both`.
    assert free.tolist() == [True, False, collision != "both"]


@pytest.mark.parametrize("collision", ["earlier", "both"])
def test_no_object_is_drawn_twice(bank: Path, collision: str) -> None:
    chosen = paster(bank, objects=(2000, 3, 0), collision=collision)
    drawn = draw_objects(street(0), np.random.default_rng(0), chosen)
    assert len(set(drawn)) == len(drawn) == len(chosen.pools[0][2]) + 3
    full = paste_objects(street(0), np.random.default_rng(0), chosen)
    shapes = [rectangle(box) for box in full.ground_truth.box]
    for i in range(25, len(shapes)):
        # m2: corners in float32 are 4e-6 m off, along sides of up to 20 m.
        assert all(shapes[i].intersection(shapes[j]).area < 1e-3 for j in range(i))


def test_points_beside_a_pasted_box_go_too() -> None:
    box = np.array([[0, 0, 0, 4, 2, 2, 0]], np.float32)
    points = np.array([[2.19, 0, 0], [2.21, 0, 0], [0, 1.14, 0], [0, 1.16, 0], [0, 0, 1.09], [0, 0, 1.11]], np.float32)
    assert not find_covered_points(points, box, (0, 0, 0)).any()
    assert find_covered_points(points, box, (0.4, 0.3, 0.2)).tolist() == [True, False] * 3


def test_counts_fill_up_what_a_frame_has(bank: Path) -> None:
    frame = street(3)
    own = [int(((frame.ground_truth.label == WAYMO_CLASSES.index(name)) & (frame.ground_truth.num_points > 0)).sum())
           for name in CLASSES]  # fmt: skip
    wanted = (own[0] + 3, own[1], max(own[2] - 1, 0))
    chosen = paster(bank, objects=wanted, fill=True)
    drawn = draw_objects(frame, np.random.default_rng(0), chosen)
    assert [chosen.bank[int(i)].label for i in drawn] == [0, 0, 0]
    in_any_case = draw_objects(frame, np.random.default_rng(0), paster(bank, objects=(2, 1, 1)))
    assert [chosen.bank[int(i)].label for i in in_any_case] == [0, 0, 1, 3]


def test_every_object_of_a_class_is_drawn(bank: Path) -> None:
    chosen = paster(bank, objects=(2000, 0, 0))
    ((name, count, pool),) = chosen.pools
    assert (name, count) == ("VEHICLE", 2000)
    assert set(draw_objects(street(0), np.random.default_rng(0), chosen)) == set(pool)


def test_filters(bank: Path) -> None:
    chosen = paster(bank, min_points=45, max_level=1, every=2)
    pools = np.concatenate([pool for _, _, pool in chosen.pools])
    assert 0 < len(pools) < len(chosen.bank)
    for index in pools:
        found = chosen.bank[int(index)]
        assert len(found.points) >= 45
        assert found.level in (0, 1)
        assert found.frame % 2 == 0


def test_each_class_has_frames_of_its_own_to_paste_from(bank: Path) -> None:
    chosen = paster(bank, every=(4, 2, 1))
    frames = {name: {chosen.bank[int(index)].frame for index in pool} for name, _, pool in chosen.pools}
    assert frames == {"VEHICLE": {0}, "PEDESTRIAN": {0, 2}, "CYCLIST": {0, 1, 2, 3}}


def test_points_of_the_frame_stay_where_no_clearance_is_given(bank: Path) -> None:
    frame = street(0)
    cleared, full = (
        paste_objects(frame, np.random.default_rng(0), paster(bank, **settings))
        for settings in ({}, {"clearance_m": None})
    )
    assert len(cleared.points) < len(full.points)
    assert_array_equal(full.points[: len(frame.points)], frame.points)
    assert_array_equal(full.ground_truth.box, cleared.ground_truth.box)


def test_only_the_wanted_returns_are_pasted(bank: Path) -> None:
    frame = street(4)
    full = paste_objects(frame, np.random.default_rng(0), paster(bank, returns=(1,)))
    added = full.points[-full.ground_truth.num_points[25:].sum() :]
    assert len(added) > 100
    assert (added[:, 6] == 1).all()
    assert (full.ground_truth.num_points[25:] >= 5).all()


def test_pasted_points_are_of_the_newest_sweep(bank: Path) -> None:
    now, before = street(5), replace(street(6), timestamp_us=street(5).timestamp_us - 100_000)
    merged = add_past_sweeps(now, [before])
    full = paste_objects(merged, np.random.default_rng(0), paster(bank))
    added = full.ground_truth[25:]
    assert (full.points[-added.num_points.sum() :, -1] == 0).all()
    for box, count in zip(added.box, added.num_points, strict=True):
        assert inside(full.points, box).sum() == count  # past points inside have gone too


def test_a_frame_of_nothing_takes_objects(bank: Path) -> None:
    frame = make_frame(0, num_points=0, num_objects=0)
    full = paste_objects(frame, np.random.default_rng(0), paster(bank))
    assert len(full.points) == full.ground_truth.num_points.sum() > 0


def test_nothing_to_paste_is_the_frame(bank: Path) -> None:
    frame = street(7)
    assert paste_objects(frame, np.random.default_rng(0), paster(bank, min_points=10_000)) is frame
    assert paste_objects(frame, np.random.default_rng(0), paster(bank, objects=(0, 0, 0))) is frame


@pytest.mark.parametrize(("stop_epoch", "pasted"), [(None, 10), (0, 0), (7, 7), (-1, 9), (-5, 5), (-20, 0), (99, 10)])
def test_pasting_stops(stop_epoch: int | None, pasted: int) -> None:
    cfg = PasteConfig(bank="objects.arrow", stop_epoch=stop_epoch)
    assert [cfg.is_pasting(epoch, 10) for epoch in range(10)] == [True] * pasted + [False] * (10 - pasted)
    assert not PasteConfig().is_pasting(0, 10)


def test_settings_without_a_bank_and_a_missing_bank(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing is pasted"):
        PasteConfig(min_points=3)
    with pytest.raises(UserError, match="no such object bank"):
        paster(tmp_path / "nowhere")
