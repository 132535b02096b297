"""A run or a store -> the frames of a viewer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pcdet_poly.data.load.collate import collate, move_zones_to_vehicle, relabel_objects
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.load.prepare_frame import get_range_image_config, prepare_frame
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.engine.checkpoint import config_values, find_first_difference
from pcdet_poly.engine.detector import Detector
from pcdet_poly.engine.environment import pick_device
from pcdet_poly.engine.outcomes import judge_boxes
from pcdet_poly.engine.provenance import fingerprint_store
from pcdet_poly.engine.run import Run, open_run
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import read_detections
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.structures import Detections, Frame
from pcdet_poly.visualization.viewer.outcomes import list_cutoffs_from
from pcdet_poly.visualization.viewer.view import View, ViewSource, build_view

DETECTIONS = "detections.parquet"
_ABOUT_FILES = frozenset({"data.train", "data.val", "data.val_every", "data.workers"})


def open_views(
    folder: Path, overrides: Sequence[str], *, checkpoint: str | None, min_score: float, device: str = "auto"
) -> ViewSource:
    """Open the frames of a store with their labels, or the validation frames of a run with labels and detections.

    A run's detections are those that its evaluation left in detections.parquet, unless a checkpoint is named or
    settings other than `data` are overridden: then, or where the file is missing or lacks a frame, the detector runs
    on each frame that is looked at.

    Args:
        folder: a run's folder or a frame store.
        overrides: `section.key=value` settings that win over the run's own.
        checkpoint: `last`, `best` or a file; None for the saved detections.
        min_score: smallest score of a detection that is shown.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: where `folder` is neither, or an option does not fit it.
    """
    if (folder / "config.yaml").is_file():
        return _open_run_views(folder, overrides, checkpoint=checkpoint, min_score=min_score, device=device)
    if not (folder / "manifest.json").is_file():
        raise UserError(f"{folder}: neither a run (config.yaml) nor a frame store (manifest.json); name one of those")
    given = f"override {overrides[0]}" if overrides else f"--checkpoint {checkpoint}"
    if overrides or checkpoint:
        raise UserError(f"{folder}: {given} is for runs, and this is a store of frames; leave it out, or name a run")
    return _open_store_views(folder, min_score)


def _open_store_views(folder: Path, min_score: float) -> ViewSource:
    store = Store(folder)
    if not len(store):
        raise UserError(f"{folder}: no frames in it; convert some data first")

    def load_view(index: int) -> View:
        frame = store[index]
        return build_view(
            frame,
            frame.ground_truth,
            None,
            frame.class_names,
            min_score=min_score,
            zones=move_zones_to_vehicle(frame),
        )

    return ViewSource(folder.resolve().name, store.frame_ids, load_view)


def _open_run_views(
    folder: Path, overrides: Sequence[str], *, checkpoint: str | None, min_score: float, device: str
) -> ViewSource:
    run = open_run(folder, list(overrides), pick_device(device))
    cfg = run.config.data
    if not cfg.val:
        raise UserError("data.val: the run names no store to look at; add data.val=[FOLDER]")
    frames = FrameDataset(cfg.val, every=cfg.val_every)
    find = _read_saved_detections(run, frames.frame_ids, checkpoint) or _detect_on_demand(
        run, frames, checkpoint or "last"
    )

    def load_view(index: int) -> View:
        frame = frames[index]
        labels, zones, found = relabel_objects(frame, cfg.classes), move_zones_to_vehicle(frame), find(index, frame)
        cutoffs = list_cutoffs_from(min_score)
        outcomes = judge_boxes(found, labels, run.config, cutoffs=cutoffs, zones=zones)
        return build_view(frame, labels, found, cfg.classes, min_score=min_score, zones=zones, outcomes=outcomes)

    return ViewSource(folder.resolve().name, frames.frame_ids, load_view)


def _read_saved_detections(
    run: Run, frame_ids: tuple[str, ...], checkpoint: str | None
) -> Callable[[int, Frame], Detections] | None:
    """Return what looks up saved detections; None, with a note on stderr, where the file does not fit the frames."""
    path = run.folder / DETECTIONS
    if checkpoint or not path.is_file() or not _is_detector_unchanged(run):
        return None
    saved = read_detections(path)
    of_frame = dict(zip(saved.frame_ids, saved.detections, strict=True))
    if saved.class_names != run.config.data.classes or not of_frame.keys() >= set(frame_ids):
        print_line(f"{path}: has other frames or classes than data.val; running the detector", file=sys.stderr)
        return None
    made_of = {store.fingerprint for store in saved.provenance.stores}  # none in files of versions that recorded none
    if made_of and not made_of >= set(map(fingerprint_store, run.config.data.val)):
        print_line(f"{path}: of other data than data.val now is; running the detector", file=sys.stderr)
        return None
    return lambda index, frame: of_frame[frame.frame_id]


def _is_detector_unchanged(run: Run) -> bool:
    """Return whether no override changes what the detector finds in a frame."""
    own = open_run(run.folder, [], run.device).config
    return find_first_difference(config_values(own), config_values(run.config), ignore=_ABOUT_FILES) is None


def _detect_on_demand(run: Run, frames: FrameDataset, checkpoint: str) -> Callable[[int, Frame], Detections]:
    detector, cfg = Detector.from_run(run, checkpoint=checkpoint), run.config

    def find(index: int, frame: Frame) -> Detections:
        past = frames.read_frames_before(index, cfg.data.sweeps - 1)
        (found,) = detector.detect_batch(
            collate([prepare_frame(frame, past, cfg)], cfg.data.classes, get_range_image_config(cfg))
        )
        return found

    return find
