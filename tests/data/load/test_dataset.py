"""Several stores as one list."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.frames import open_training_frames
from pcdet_poly.errors import UserError
from tests.data.frames import make_frame


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    write_store(tmp_path / "a", [make_frame(i, segment=f"s{i // 2}", num_points=3) for i in range(5)])
    write_store(tmp_path / "b", [make_frame(i, segment="t", num_points=3) for i in range(5, 8)])
    return [tmp_path / "a", tmp_path / "b"]


@pytest.mark.parametrize("every", [1, 2, 3, 5, 7, 8, 100])
def test_every_nth_of_the_concatenated_list(stores: list[Path], every: int) -> None:
    wanted = [make_frame(i, segment=f"s{i // 2}" if i < 5 else "t").frame_id for i in range(8)][::every]
    dataset = FrameDataset(stores, every=every)
    assert len(dataset) == len(wanted)
    assert dataset.frame_ids == tuple(wanted)
    assert [frame.frame_id for frame in dataset] == wanted
    assert dataset[-1].frame_id == wanted[-1]
    with pytest.raises(IndexError):
        dataset[len(wanted)]


@pytest.mark.parametrize("segments_every", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("every", [1, 2])
def test_every_nth_segment_of_the_concatenated_list(stores: list[Path], segments_every: int, every: int) -> None:
    segments = [["s0", 0], ["s0", 1], ["s1", 2], ["s1", 3], ["s2", 4], ["t", 5], ["t", 6], ["t", 7]]
    kept = ["s0", "s1", "s2", "t"][::segments_every]
    wanted = [make_frame(int(i), segment=str(s)).frame_id for s, i in segments if s in kept][::every]
    dataset = FrameDataset(stores, every=every, segments_every=segments_every)
    assert dataset.frame_ids == tuple(wanted)
    assert [frame.frame_id for frame in dataset] == wanted


def test_a_config_names_both_meanings_of_a_share(stores: list[Path]) -> None:
    data = {"train": tuple(map(str, stores)), "train_every": 2, "train_segments_every": 3}
    frames = open_training_frames(Config.model_validate({"data": data}))
    assert frames.frame_ids == FrameDataset(stores, every=2, segments_every=3).frame_ids
    assert len(frames) == 3  # every second frame of s0 and t


def test_no_store_and_no_frames(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame store given"):
        FrameDataset([])
    write_store(tmp_path, [])
    with pytest.raises(UserError, match="no frames in it"):
        FrameDataset([tmp_path])
