"""Batches: the same whatever the workers and the first step; every frame; errors in one line."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data._utils import signal_handling

from pcdet_poly.config.schema import Config
from pcdet_poly.data.bank.build_bank import build_object_bank
from pcdet_poly.data.load import loader
from pcdet_poly.data.load.batch_workers import BatchDataset
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.loader import (
    count_steps_per_epoch,
    load_evaluation_batches,
    load_training_batches,
)
from pcdet_poly.data.load.prepare_frame import find_trainable_objects, select_returns
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.data.store.manifest import read_manifest
from pcdet_poly.data.store.segment_file import read_archive_directory
from pcdet_poly.errors import UserError
from pcdet_poly.models import build_recipe
from pcdet_poly.structures import Batch, Frame
from tests.data.frames import make_frame

NUM_FRAMES = 11


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "train"
    write_store(folder, (make_frame(i, segment=f"s{i // 4}", num_points=50) for i in range(NUM_FRAMES)))
    return folder


def config(workers: int = 0, **train: Any) -> Config:
    train = {"batch_size": 3, **train}
    data = {"workers": workers, "min_points": 0, "classes": ("VEHICLE", "PEDESTRIAN", "SIGN", "CYCLIST")}
    return Config.model_validate({"data": data, "train": train, "evaluation": {"batch_size": 3}})


def assert_same_batches(a: list[Batch], b: list[Batch]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.frame_ids == other.frame_ids
        assert torch.equal(one.points, other.points)
        assert torch.equal(one.frame_of_point, other.frame_of_point)
        for mine, theirs in zip(one.ground_truth, other.ground_truth, strict=True):
            assert torch.equal(mine.box, theirs.box)
            assert torch.equal(mine.label, theirs.label)
            assert mine.track.tolist() == theirs.track.tolist()


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers(store: Path, workers: int) -> None:
    dataset = FrameDataset([store])
    here = list(load_training_batches(config(0), dataset, epoch=3))
    assert_same_batches(here, list(load_training_batches(config(workers), dataset, epoch=3)))
    evaluated = list(load_evaluation_batches(config(0), dataset))
    assert_same_batches(evaluated, list(load_evaluation_batches(config(workers), dataset)))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[FrameDataset, dict[str, Any]]:
    """A dataset, and settings that paste objects into three sweeps."""
    folder = tmp_path_factory.mktemp("everything")
    write_store(folder / "store", [street(i, f"s{i // 4}") for i in range(9)])
    bank = build_object_bank([folder / "store"], folder / "objects.arrow")
    paste = {"bank": str(bank.path), "objects": [9, 9, 9, 9], "fill": False, "min_points": 1, "stop_epoch": -1}
    return FrameDataset([folder / "store"], every=2), {"paste": paste, "sweeps": 3}


def street(seed: int, segment: str) -> Frame:
    """Boxes with points in them, half a second after another."""
    frame = make_frame(seed, segment=segment, num_points=200)
    frame.points[:70, :3] = np.repeat(frame.ground_truth.box[:, :3], 10, axis=0)
    pose = np.eye(4)
    pose[0, 3] = seed
    return replace(frame, world_from_vehicle=pose, timestamp_us=500_000 * seed)


def with_everything(settings: dict[str, Any], workers: int = 0) -> Config:
    values = config(workers, epochs=3).model_dump() | {"paste": settings["paste"]}
    return Config.model_validate(values | {"data": values["data"] | {"sweeps": settings["sweeps"]}})


@pytest.mark.parametrize(("workers", "first_step"), [(2, 0), (1, 1), (0, 1)])
def test_pasting_and_sweeps_depend_on_nothing_but_the_place(everything: Any, workers: int, first_step: int) -> None:
    dataset, settings = everything
    whole = list(load_training_batches(with_everything(settings), dataset, epoch=1))
    again = load_training_batches(with_everything(settings, workers), dataset, epoch=1, first_step=first_step)
    assert_same_batches(whole[first_step:], list(again))
    assert sum((rows.track == "pasted").sum() for batch in whole for rows in batch.ground_truth) > 5


def test_what_makes_batches_can_go_to_processes_that_start_afresh(
    everything: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows and macOS workers are no forks: the dataset, the bank and the config are pickled for them."""
    dataset, settings = everything
    made: list[Any] = []
    monkeypatch.setattr(loader, "load_batches", lambda make, numbers, workers: made.append(make) or ())
    cfg = with_everything(settings, 1)
    assert not [*load_training_batches(cfg, dataset, epoch=1), *load_evaluation_batches(cfg, dataset)]
    for make in made:
        assert_same_batches([make(0)], [pickle.loads(pickle.dumps(make))(0)])


def test_pasting_stops_and_leaves_the_augmentation_as_it_is(everything: Any) -> None:
    dataset, settings = everything
    cfg = with_everything(settings)
    bare = cfg.model_copy(update={"paste": config().paste})
    assert_same_batches(
        list(load_training_batches(cfg, dataset, epoch=2)), list(load_training_batches(bare, dataset, epoch=2))
    )  # the last of three epochs
    for full, empty in zip(
        load_training_batches(cfg, dataset, epoch=0), load_training_batches(bare, dataset, epoch=0), strict=True
    ):
        for rows, own in zip(full.ground_truth, empty.ground_truth, strict=True):
            assert torch.equal(rows.box[rows.track != "pasted"], own.box)


def test_sweeps_come_with_their_age(everything: Any) -> None:
    dataset, settings = everything
    cfg = with_everything(settings)
    (first, *_), training = load_evaluation_batches(cfg, dataset), list(load_training_batches(cfg, dataset, epoch=0))
    assert {batch.points.shape[1] for batch in (first, *training)} == {cfg.data.point_channels} == {6}
    ages = [first.points[first.frame_of_point == i, 5] for i in range(first.size)]  # frames 0, 2, 4
    assert [torch.unique(age).tolist() for age in ages] == [[0], [0, 0.5, 1], [0]]
    now = first.points[first.frame_of_point == 1][:200, :3].numpy()
    np.testing.assert_array_equal(now, dataset[1].points[:, :3])
    past = first.points[first.frame_of_point == 1][200:400, :3].numpy()
    # Coordinates below 64 m, moved in float32: two roundings of 2e-6 m.
    np.testing.assert_allclose(past, dataset.read_frames_before(1, 1)[0].points[:, :3] - (1, 0, 0), atol=1e-5)


@pytest.mark.parametrize(("batch_size", "accumulate", "world_size"), [(1, 4, 1), (2, 1, 2), (1, 2, 2)])
def test_a_step_has_the_same_frames_however_they_are_spread(
    store: Path, batch_size: int, accumulate: int, world_size: int
) -> None:
    dataset, cfg = FrameDataset([store]), config(batch_size=4)
    spread = config(batch_size=batch_size, accumulate=accumulate)
    steps = count_steps_per_epoch(cfg, dataset)
    assert count_steps_per_epoch(spread, dataset, world_size=world_size) == steps > 1
    whole = [set(batch.frame_ids) for batch in load_training_batches(cfg, dataset, epoch=2, first_step=1)]
    found: list[set[str]] = [set() for _ in range(steps - 1)]
    for rank in range(world_size):
        batches = load_training_batches(spread, dataset, epoch=2, first_step=1, rank=rank, world_size=world_size)
        for turn, batch in enumerate(batches):
            found[turn // accumulate] |= set(batch.frame_ids)
    assert found == whole


def test_pasting_ends_before_the_end_of_a_training_that_counts_steps(everything: Any) -> None:
    dataset, settings = everything
    cfg = with_everything(settings)
    steps = count_steps_per_epoch(cfg, dataset)
    cfg = cfg.model_copy(update={"train": cfg.train.model_copy(update={"epochs": 30, "steps": 2 * steps - 1})})

    def pasted(epoch: int) -> bool:
        batches = load_training_batches(cfg, dataset, epoch=epoch)
        return any((rows.track == "pasted").any() for batch in batches for rows in batch.ground_truth)

    assert [pasted(epoch) for epoch in range(2)] == [True, False]


def test_a_network_takes_the_age(everything: Any) -> None:
    dataset, settings = everything
    cfg = with_everything(settings)
    cell = {"lower": (-64, -64, -2), "upper": (64, 64, 4), "cell": (4, 4, 6)}
    cfg = Config.model_validate(cfg.model_dump() | {"grid": cell, "model": {"encoder_channels": (4, 4)}})
    recipe = build_recipe(cfg)
    batch = next(load_evaluation_batches(cfg, dataset))
    recipe.model.eval()
    maps = recipe.model(batch).heatmap
    assert maps.isfinite().all()
    older = replace(batch, points=batch.points + torch.tensor([0, 0, 0, 0, 0, 1.0]))
    assert not torch.equal(recipe.model(older).heatmap, maps)


def test_workers_are_gone_when_the_batches_are_let_go(store: Path) -> None:
    batches = load_training_batches(config(2), FrameDataset([store]), epoch=0)
    before = set(multiprocessing.active_children())
    next(batches)
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    batches.close()  # type: ignore[attr-defined]
    assert not any(process.is_alive() for process in started)


def test_a_worker_that_is_not_told_to_end_is_gone_all_the_same(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's message to it may be lost; SIGTERM, by which torch would end it then, workers ignore."""
    kind = torch.utils.data.dataloader._MultiProcessingDataLoaderIter
    monkeypatch.setattr(kind, "_mark_worker_as_unavailable", lambda self, number, shutdown=False: None)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    batches = load_evaluation_batches(config(2), FrameDataset([store]))
    before = set(multiprocessing.active_children())
    next(batches)
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    batches.close()  # type: ignore[attr-defined]
    assert not any(process.is_alive() for process in started)


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="a patch reaches forked processes alone")
def test_signals_that_come_while_workers_start_end_none(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's SIGTERM goes to all processes, also between torch's own handlers and ours."""
    set_handlers = signal_handling._set_worker_signal_handlers

    def set_handlers_and_be_hit(*arguments: Any) -> None:
        set_handlers(*arguments)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(signal_handling, "_set_worker_signal_handlers", set_handlers_and_be_hit)
    batches = list(load_evaluation_batches(config(workers=2), FrameDataset([store])))
    assert sum(len(batch.frame_ids) for batch in batches) == NUM_FRAMES


@pytest.mark.parametrize(("workers", "first_step"), [(0, 1), (0, 3), (2, 2), (0, 4)])
def test_a_resumed_epoch_goes_on_where_it_stopped(store: Path, workers: int, first_step: int) -> None:
    dataset = FrameDataset([store])
    whole = list(load_training_batches(config(), dataset, epoch=1))
    rest = list(load_training_batches(config(workers), dataset, epoch=1, first_step=first_step))
    assert_same_batches(whole[first_step:], rest)


def test_an_epoch_is_every_frame_in_another_order(store: Path) -> None:
    dataset = FrameDataset([store])
    orders = []
    for epoch in range(2):
        batches = list(load_training_batches(config(), dataset, epoch=epoch))
        assert [batch.size for batch in batches] == [3] * 4
        assert len(batches) == count_steps_per_epoch(config(), dataset)
        orders.append([frame_id for batch in batches for frame_id in batch.frame_ids])
        assert set(orders[-1]) == set(dataset.frame_ids)
        assert orders[-1][NUM_FRAMES:] == orders[-1][:1]  # the last batch is filled from the start
    assert orders[0] != orders[1]


def test_seeds_differ(store: Path) -> None:
    dataset = FrameDataset([store])
    a, b = (next(load_training_batches(config(seed=seed), dataset, epoch=0)) for seed in (0, 1))
    assert a.frame_ids != b.frame_ids or not torch.equal(a.points, b.points)


def test_a_frame_that_fills_a_batch_is_augmented_anew(store: Path) -> None:
    dataset = FrameDataset([store], every=6)  # two frames, batches of three
    (batch,) = load_training_batches(config(), dataset, epoch=0)
    assert batch.frame_ids[0] == batch.frame_ids[2]
    assert not torch.equal(batch.ground_truth[0].box, batch.ground_truth[2].box)


def test_evaluation_sees_every_frame_once_unchanged(store: Path) -> None:
    dataset = FrameDataset([store])
    batches = list(load_evaluation_batches(config(), dataset))
    assert [batch.size for batch in batches] == [3, 3, 3, 2]
    assert tuple(i for batch in batches for i in batch.frame_ids) == dataset.frame_ids
    np.testing.assert_array_equal(batches[0].points[:50, :3].numpy(), dataset[0].points[:, :3])
    assert sum(len(rows) for batch in batches for rows in batch.ground_truth) == 7 * NUM_FRAMES


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_an_epoch(store: Path, world_size: int) -> None:
    dataset = FrameDataset([store])
    ranks = [
        list(load_training_batches(config(), dataset, epoch=0, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert {len(batches) for batches in ranks} == {count_steps_per_epoch(config(), dataset, world_size=world_size)}
    seen = Counter(i for batches in ranks for batch in batches for i in batch.frame_ids)
    assert set(seen) == set(dataset.frame_ids)
    interleaved = [batch for step in zip(*ranks, strict=True) for batch in step]
    assert_same_batches(interleaved[:4], list(load_training_batches(config(), dataset, epoch=0)))
    evaluated = [
        i
        for rank in range(world_size)
        for batch in load_evaluation_batches(config(), dataset, rank=rank, world_size=world_size)
        for i in batch.frame_ids
    ]
    assert sorted(evaluated) == sorted(dataset.frame_ids)


def test_training_drops_boxes_outside_or_without_points(store: Path) -> None:
    frame = make_frame(0, num_objects=200)
    grid = config().grid.model_copy(update={"lower": (-20.0, -30.0, -0.5), "upper": (40.0, 50.0, 1.5)})
    kept = find_trainable_objects(frame.ground_truth, grid, min_points=5)
    for i in range(200):
        x, y, z = frame.ground_truth.box[i, :3]
        inside = -20 <= x < 40 and -30 <= y < 50 and -0.5 <= z < 1.5
        assert kept[i] == (inside and frame.ground_truth.num_points[i] >= 5)
    assert 0 < kept.sum() < 200


def test_returns_are_chosen_where_frames_have_them() -> None:
    frame = make_frame(1)
    first = select_returns(frame, (1,))
    np.testing.assert_array_equal(first.points, frame.points[frame.points[:, 6] == 1])
    assert select_returns(frame, (1, 2)) is frame
    silent = replace(frame, points=frame.points[:, :5].copy(), columns=frame.columns[:5])
    assert select_returns(silent, (2,)) is silent


def test_reading_ahead_leaves_torchs_random_numbers_alone(store: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    next(load_training_batches(config(1), FrameDataset([store]), epoch=0))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_frame_is_one_line(tmp_path: Path, workers: int) -> None:
    write_store(tmp_path, [make_frame(i, num_points=50) for i in range(4)])
    path = tmp_path / read_manifest(tmp_path).segments[0].file
    start = int(read_archive_directory(path).start[5])
    with open(path, "r+b") as file:
        file.seek(start + 10)
        file.write(b"\xff\xff\xff")
    with pytest.raises(UserError) as caught:
        list(load_training_batches(config(workers), FrameDataset([tmp_path]), epoch=0))
    assert "frame 2: wrong checksum" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_points_are_pinned_where_there_is_a_gpu(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one here, DataLoader's own pinning is played: it calls `pin_memory` of what a worker made."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor.clone())
    made = BatchDataset(lambda number: next(load_training_batches(config(), FrameDataset([store]), epoch=0)))[0]
    again = made.pin_memory()
    assert isinstance(made.result, Batch)
    assert isinstance(again.result, Batch)
    assert [id(tensor) for tensor in pinned] == [id(made.result.points), id(made.result.frame_of_point)]
    assert_same_batches([made.result], [again.result])


class Deadly(FrameDataset):
    def __getitem__(self, index: int) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_line(store: Path) -> None:
    with pytest.raises(UserError, match=r"killed: out of memory.*data\.workers"):
        list(load_training_batches(config(1), Deadly([store]), epoch=0))
