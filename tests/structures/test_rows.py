"""Tables of columns: lengths, indexing, devices; and the checks of the other records."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcdet_poly.structures import Batch, Detections, Frame, Grid, GroundTruth


def some(count: int, seed: int = 0) -> GroundTruth:
    rng = np.random.default_rng(seed)
    return GroundTruth(
        box=rng.normal(size=(count, 7)).astype(np.float32),
        label=rng.integers(0, 4, count),
        level=rng.integers(0, 3, count),
        num_points=rng.integers(0, 99, count),
        track=np.array([f"track{seed}_{i}" for i in range(count)]),
        speed=rng.normal(size=(count, 2)).astype(np.float32),
    )


def equal(a: GroundTruth, b: GroundTruth) -> bool:
    pairs = zip(a.numpy().columns().values(), b.numpy().columns().values(), strict=True)
    return all(np.array_equal(x, y) and x.dtype.kind == y.dtype.kind for x, y in pairs)


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Detections: columns of different length.*'score': 2"):
        Detections(box=np.zeros((3, 7), np.float32), label=np.zeros(3, np.int64), score=np.zeros(2, np.float32))


@pytest.mark.parametrize(
    "index", [slice(1, 4), np.array([4, 0, 0]), [2, 1], np.array([True, False, True, True, False])]
)
def test_indexing_picks_the_same_rows_of_every_column(index: object) -> None:
    rows = some(5)
    picked = rows[index]
    for name, column in rows.columns().items():
        assert np.array_equal(getattr(picked, name), column[index])


def test_a_tensor_indexes_host_and_torch_tables_alike() -> None:
    rows = some(5)
    mask = torch.tensor([True, False, True, False, True])
    assert equal(rows.to("cpu")[mask], rows[mask.numpy()])
    assert equal(rows[mask], rows[mask.numpy()])


def test_to_and_back_changes_nothing_and_text_stays_numpy() -> None:
    rows = some(4)
    moved = rows.to("cpu")
    assert isinstance(moved.box, torch.Tensor)
    assert isinstance(moved.track, np.ndarray)
    assert equal(moved, rows)


@pytest.mark.parametrize("as_torch", [False, True])
def test_concatenate_keeps_order_and_accepts_empty_parts(as_torch: bool) -> None:
    parts = [some(2, 1), GroundTruth.empty(), some(3, 2)]
    whole = GroundTruth.concatenate([part.to("cpu") for part in parts] if as_torch else parts)
    assert len(whole) == 5
    assert equal(whole[:2], parts[0])
    assert equal(whole[2:], parts[2])


def found(count: int, *, with_velocity: bool) -> Detections:
    velocity = np.arange(2.0 * count, dtype=np.float32).reshape(count, 2) if with_velocity else None
    return Detections(np.zeros((count, 7), np.float32), np.arange(count), np.ones(count, np.float32), velocity)


def test_a_column_that_a_table_may_lack() -> None:
    without, rows = found(3, with_velocity=False), found(3, with_velocity=True)
    assert "velocity" not in without.columns()
    assert without[[0, 2]].to("cpu").numpy().velocity is None
    assert Detections.concatenate([without, without]).velocity is None
    assert rows[[2, 0]].to("cpu").numpy().velocity.tolist() == [[4, 5], [0, 1]]
    assert Detections.concatenate([rows, rows[:1]]).velocity.tolist() == [[0, 1], [2, 3], [4, 5], [0, 1]]
    with pytest.raises(ValueError, match="different length"):
        Detections(rows.box, rows.label, rows.score, rows.velocity[:2])


def test_tables_with_and_without_a_column_do_not_concatenate() -> None:
    with pytest.raises(ValueError, match=r"Detections\.concatenate: columns .* differ"):
        Detections.concatenate([found(1, with_velocity=True), found(1, with_velocity=False)])


def test_concatenate_of_nothing_says_what_to_use() -> None:
    with pytest.raises(ValueError, match=r"GroundTruth\.empty\(\)"):
        GroundTruth.concatenate([])


def frame(points: np.ndarray, pose: np.ndarray | None = None) -> Frame:
    return Frame(points, GroundTruth.empty(), np.eye(4) if pose is None else pose, 7, "segment")


def test_a_frame_checks_its_points_and_pose_and_names_itself() -> None:
    assert frame(np.zeros((0, 8), np.float32)).frame_id == "segment/7"
    with pytest.raises(ValueError, match=r"float64 \(2, 8\) given"):
        frame(np.zeros((2, 8)))
    with pytest.raises(ValueError, match=r"\(2, 5\) given, float32 \(P, 8\)"):
        frame(np.zeros((2, 5), np.float32))
    with pytest.raises(ValueError, match=r"\(3, 4\) given"):
        frame(np.zeros((2, 8), np.float32), np.zeros((3, 4)))


def test_a_batch_counts_frames_without_points_too() -> None:
    batch = Batch(torch.zeros(3, 5), torch.tensor([0, 0, 1]), (some(1).to("cpu"),) * 4, ("a", "b", "c", "d"))
    assert batch.size == 4
    assert batch.to("cpu").frame_ids == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="3 points with 2 frame indices"):
        Batch(torch.zeros(3, 5), torch.tensor([0, 0]), (), ())


def test_a_grid_counts_cells_without_rounding_errors() -> None:
    grid = Grid((-74.88, -74.88, -2), (74.88, 74.88, 4), (0.32, 0.32, 6))
    assert grid.shape == (468, 468, 1)
    assert grid.coarsen(4).shape == (117, 117, 1)
