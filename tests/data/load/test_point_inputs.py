"""The numbers of a point, and the sweeps that a training leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import prepare_points
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import load_evaluation_batches, load_training_batches
from pcdet_poly.data.load.prepare_frame import find_trainable_objects, prepare_frame
from pcdet_poly.data.store.frame_store import write_store
from tests.data.frames import make_frame
from tests.tolerances import error_of_mean


@pytest.mark.parametrize("sweeps", [1, 2])
@pytest.mark.parametrize("elongation", [True, False])
@pytest.mark.parametrize("age", ["several_sweeps", "always"])
def test_points_have_the_numbers_that_the_settings_name(sweeps: int, elongation: bool, age: str) -> None:
    config = Config.model_validate({"data": {"sweeps": sweeps, "elongation": elongation, "age": age}})
    frame, before = make_frame(1, num_points=40), make_frame(0, num_points=40)
    points = prepare_points(prepare_frame(frame, [before] if sweeps > 1 else [], config))
    assert points.shape == (40 * sweeps, config.data.point_channels)
    names = frame.columns
    np.testing.assert_array_equal(points[:40, :3], frame.points[:, :3])
    np.testing.assert_array_equal(points[:40, 3], np.tanh(frame.points[:, names.index("intensity")]))
    if elongation:
        np.testing.assert_array_equal(points[:40, 4], frame.points[:, names.index("elongation")])
    assert config.data.has_age == (sweeps > 1 or age == "always")
    if config.data.has_age:
        assert not points[:40, -1].any()
        assert (points[40:, -1] > 0).all()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps") / "store"
    write_store(folder, [make_frame(i, num_points=8) for i in range(12)])
    return folder


def count_sweeps(store: Path, share: float, seed: int = 0) -> list[int]:
    """Sweeps of every frame that has two before it, in an epoch of training."""
    data = {"train": [str(store)], "sweeps": 3, "workers": 0}
    augment, train = {"drop_sweeps": share, "shuffle": False}, {"batch_size": 1, "seed": seed}
    config = Config.model_validate({"data": data, "augment": augment, "train": train})
    batches = load_training_batches(config, FrameDataset([store]), epoch=0)
    counts = {batch.frame_ids[0]: len(batch.points) // 8 for batch in batches}
    return [counts[name] for name in FrameDataset([store]).frame_ids[2:]]


def test_each_earlier_sweep_is_left_out_by_itself(store: Path) -> None:
    assert set(count_sweeps(store, 0)) == {3}
    assert set(count_sweeps(store, 1)) == {1}
    kept = np.array([count_sweeps(store, 0.5, seed) for seed in range(20)]).ravel() - 1  # 200 times two
    assert set(kept.tolist()) == {0, 1, 2}
    assert abs(kept.mean() - 1) < error_of_mean(0.5**0.5, len(kept))
    assert count_sweeps(store, 0.5, 3) == count_sweeps(store, 0.5, 3)


def test_evaluation_leaves_none_out(store: Path) -> None:
    data = {"val": [str(store)], "sweeps": 3, "workers": 0}
    config = Config.model_validate({"data": data, "augment": {"drop_sweeps": 1}})
    counts = [len(batch.points) for batch in load_evaluation_batches(config, FrameDataset([store]))]
    assert sum(counts) == 8 * (1 + 2 + 10 * 3)


def test_the_targets_alone_may_say_where_a_centre_lies() -> None:
    truth = make_frame(0).ground_truth
    has_points = truth.num_points >= 5
    assert (find_trainable_objects(truth, None, 5) == has_points).all()
    grid = Config.model_validate({"grid": {"lower": [1000, 0, -2], "upper": [1012.8, 12.8, 4]}}).grid
    assert has_points.any()
    assert not find_trainable_objects(truth, grid, 5).any()
