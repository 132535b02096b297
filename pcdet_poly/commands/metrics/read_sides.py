"""What the options of `pcdet-poly evaluate` name -> checked sets of frames, and their settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pcdet_poly.config.find import find_config
from pcdet_poly.config.load import load_config
from pcdet_poly.config.sections.evaluation import EvaluationConfig, LetConfig, MetricsConfig
from pcdet_poly.data.load.collate import move_zones_to_vehicle, relabel_objects
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.engine.provenance import fingerprint_store
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.box_tables import EvaluationSet, EvaluationSide, Objects, Predictions
from pcdet_poly.evaluation.checks.frames import join_checked
from pcdet_poly.evaluation.checks.placement import find_confused_classes
from pcdet_poly.evaluation.checks.rows import check_scores, check_side, find_odd_scores
from pcdet_poly.evaluation.files.any_file import PredictionsFile, check_exists, read_labels, read_predictions_file
from pcdet_poly.evaluation.files.flat_arrays import read_flat_sides
from pcdet_poly.evaluation.files.provenance import UNKNOWN, Provenance
from pcdet_poly.evaluation.tabulate import number_types, tabulate_objects
from pcdet_poly.evaluation.zones import find_boxes_in_zones
from pcdet_poly.names.shown_names import print_line
from pcdet_poly.structures import WAYMO_CLASSES


@dataclass(frozen=True)
class EvaluatedSet:
    """The frames of one detector, and what is known of it."""

    boxes: EvaluationSet
    class_names: tuple[str, ...] = ()  # that the detector tells apart; empty: not known
    provenance: Provenance = UNKNOWN


@dataclass(frozen=True)
class _Labels:
    """The side of labels; of stores also their no-label zones and what they are."""

    side: EvaluationSide[Objects]
    place: str
    types: tuple[str, ...]  # of objects, from type 1 on
    zones: dict[str, tuple[np.ndarray, ...]] | None = None  # frame id -> polygons in the vehicle frame
    fingerprints: tuple[str, ...] = ()


def read_sets(options: argparse.Namespace) -> list[EvaluatedSet]:
    """Read, check and join what PREDICTIONS and --against give together with LABELS: one set or two."""
    if options.predictions.suffix == ".npz" and not options.labels:
        return [_read_arrays(options)]
    if not options.labels and not (options.predictions / "config.yaml").is_file():
        raise UserError(f"{options.predictions}: labels are missing; name their file or folder behind it")
    for path in options.labels:
        check_exists(path)
    types = load_config(find_config(options.config)).evaluation.metrics.type_names if options.config else None
    paths = [path for path in (options.predictions, options.against) if path]
    files = [read_predictions_file(path, types) for path in paths]
    labels = _read_all_labels(options, types or (files[0].provenance.read_metrics() or MetricsConfig()).type_names)
    if len(files) > 1:
        _check_comparable(options, *files)
    return [_join_sides(path, file, labels, options) for path, file in zip(paths, files, strict=True)]


def read_settings(options: argparse.Namespace, own: EvaluatedSet) -> EvaluationConfig:
    """Return the settings of --config, else those of the run that made the predictions, else Waymo's, with options."""
    asked = _find_asked_settings(options.predictions, own.provenance)
    cfg = asked or EvaluationConfig()
    if options.config:
        cfg = load_config(find_config(options.config)).evaluation
    elif asked:
        name = own.provenance.run or options.predictions.name
        _say(f"{options.predictions}: evaluated as {name} asks, {_describe_settings(cfg, own)}")
    changes: dict[str, object] = {}
    if options.breakdowns:
        changes["breakdowns"] = tuple(options.breakdowns)
    if options.let and cfg.metrics.let is None:
        changes["let"] = LetConfig()
    within = cfg.within if options.within is None else options.within or None
    return cfg.model_copy(update={"metrics": cfg.metrics.model_copy(update=changes), "within": within})


def _find_asked_settings(path: Path, provenance: Provenance) -> EvaluationConfig | None:
    """Return the settings that the run of some predictions asks for; those of its config where nothing is recorded."""
    metrics = provenance.read_metrics()
    if metrics is not None:
        return EvaluationConfig(metrics=metrics, within=provenance.within)
    if (path / "config.yaml").is_file():
        return load_config(path / "config.yaml").evaluation
    return None


def _describe_settings(cfg: EvaluationConfig, own: EvaluatedSet) -> str:
    area = "everywhere" if cfg.within is None else f"within {', '.join(f'{limit:g}' for limit in cfg.within)} m"
    return f"{', '.join(own.class_names)} {area} (other settings: --config, --within)"


def _read_arrays(options: argparse.Namespace) -> EvaluatedSet:
    if options.against:
        raise UserError("--against: compare files of predictions; one .npz holds its own labels")
    predictions, labels = read_flat_sides(options.predictions)
    place = str(options.predictions)
    check_scores(predictions.rows.score, place)
    _warn(find_odd_scores(predictions.rows.score, place))
    _warn(check_side(predictions, f"{place}: predictions", options.allow))
    _warn(check_side(labels, f"{place}: labels", options.allow))
    boxes, note = join_checked(predictions, labels, place=place, choice=options.frames)
    if note:
        _say(note)
    _warn(_find_confused(options.predictions, boxes, WAYMO_CLASSES, options))
    return EvaluatedSet(boxes)


def _read_all_labels(options: argparse.Namespace, types: tuple[str, ...]) -> _Labels:
    """Read LABELS, or of a run's folder its data.val; `types` are the objects that the metrics know."""
    given = options.labels
    if not given:
        config = load_config(options.predictions / "config.yaml")
        return _read_store_labels(config.data.val, types, every=config.data.val_every, allowed=options.allow)
    if all(path.is_dir() for path in given):
        return _read_store_labels(list(map(str, given)), types, allowed=options.allow)
    if len(given) > 1:
        raise UserError(f"{given[1]}: one file of labels, or several folders of stores, please")
    if types != WAYMO_CLASSES:
        raise UserError(
            f"{given[0]}: a .bin knows Waymo's classes alone, and these are {', '.join(types)}; name a store"
        )
    side = read_labels(given[0], camera_only=options.camera_only)
    _warn(check_side(side, str(given[0]), options.allow))
    return _Labels(side, str(given[0]), types)


def _read_store_labels(
    folders: Sequence[str], types: tuple[str, ...], *, every: int = 1, allowed: Collection[str]
) -> _Labels:
    """Read the labels of every n-th frame of the concatenated stores; classes are joined by name."""
    place = ", ".join(folders)
    stores = [Store(folder) for folder in folders]
    if not stores:
        raise UserError("data.val: the run names no store; name the labels behind PREDICTIONS")
    rows, ids, zones, num_before = [Objects.empty()], list[str](), dict[str, tuple[np.ndarray, ...]](), 0
    for store in stores:
        frames = [store.read_labels(i) for i in range(-num_before % every, len(store), every)]
        names, known = [one.frame_id for one in frames], [name for name in types if name in store.class_names]
        truths = [relabel_objects(one, known) for one in frames]
        of_store = tabulate_objects(truths, class_names=known, frame_names=names, type_names=types)
        rows.append(replace(of_store, frame=of_store.frame + len(ids)))
        ids += names
        zones |= {one.frame_id: move_zones_to_vehicle(one) for one in frames if one.no_label_zones}
        num_before += len(store)
    side = EvaluationSide(Objects.concatenate(rows), tuple(ids))
    _warn(check_side(side, place, allowed))
    return _Labels(side, place, types, zones, tuple(map(fingerprint_store, folders)))


def _check_comparable(options: argparse.Namespace, own: PredictionsFile, other: PredictionsFile) -> None:
    """Refuse detectors of other classes; name what else their results differ in besides the detector."""
    if own.class_names and other.class_names and set(own.class_names) != set(other.class_names):
        raise UserError(
            f"--against: {options.predictions} tells {', '.join(own.class_names)} apart, {options.against} "
            f"{', '.join(other.class_names)}; compare detectors of the same classes"
        )
    ours, theirs = own.provenance, other.provenance
    for name, here, there in (
        ("data", ours.data_hash, theirs.data_hash),
        ("grid", ours.grid, theirs.grid),
        ("evaluation.within", ours.within, theirs.within),
        ("evaluation.metrics", ours.metrics, theirs.metrics),
    ):
        if None not in (ours.config_hash, theirs.config_hash) and here != there:
            _warn([f"{options.predictions} and {options.against} differ in {name}: {here} and {there}"])


def _join_sides(path: Path, file: PredictionsFile, labels: _Labels, options: argparse.Namespace) -> EvaluatedSet:
    check_scores(file.side.rows.score, str(path))
    _warn(find_odd_scores(file.side.rows.score, str(path)))
    _warn(check_side(file.side, str(path), options.allow))
    made_of = {store.fingerprint for store in file.provenance.stores}
    if made_of and labels.fingerprints and made_of.isdisjoint(labels.fingerprints):
        names = ", ".join(store.folder for store in file.provenance.stores)
        _warn(
            [f"{path}: detected in {names}, which is other data than {labels.place} now is (frames of other content)"]
        )
    side = labels.side
    if file.class_names:  # as in the run's own evaluation
        side = replace(side, rows=side.rows[np.isin(side.rows.type, number_types(file.class_names, labels.types))])
    boxes, note = join_checked(file.side, side, place=str(path), choice=options.frames)
    if note:
        _say(note)
    if not file.has_zones and labels.zones:
        boxes = replace(boxes, predictions=_mark_zones(boxes, labels.zones))
    _warn(_find_confused(path, boxes, labels.types, options))
    return EvaluatedSet(boxes, file.class_names, file.provenance)


def _find_confused(
    path: Path, boxes: EvaluationSet, types: tuple[str, ...], options: argparse.Namespace
) -> Iterator[str]:
    try:
        yield from (f"{path}: {line}" for line in find_confused_classes(boxes, types, options.allow))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _mark_zones(boxes: EvaluationSet, zones: dict[str, tuple[np.ndarray, ...]]) -> Predictions:
    """Return the predictions, marked by the zones of their frames."""
    rows = boxes.predictions
    marked = rows.in_no_label_zone.copy()
    for number, frame in enumerate(boxes.frames):
        if frame in zones:
            of_frame = slice(*np.searchsorted(rows.frame, (number, number + 1)))
            marked[of_frame] = find_boxes_in_zones(rows.box[of_frame], zones[frame])
    return replace(rows, in_no_label_zone=marked)


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(f"warning: {line}", file=sys.stderr)


def _say(line: str) -> None:
    print_line(line, file=sys.stderr)
