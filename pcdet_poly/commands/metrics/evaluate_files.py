"""Files of predictions and labels -> tables of metrics, printed and written."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pcdet_poly.config.find import find_config
from pcdet_poly.config.load import load_config
from pcdet_poly.config.sections.evaluation import EvaluationConfig, LetConfig, MetricsConfig
from pcdet_poly.data.store.frame_store import Store
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.bootstrap import bootstrap, paired_bootstrap
from pcdet_poly.evaluation.box_tables import EvaluationSet, EvaluationSide, Objects
from pcdet_poly.evaluation.evaluator import Evaluator, resolve_cutoffs
from pcdet_poly.evaluation.files.any_file import read_labels, read_predictions
from pcdet_poly.evaluation.files.flat_arrays import read_flat_arrays
from pcdet_poly.evaluation.plots import write_plots
from pcdet_poly.evaluation.table_text import print_table, to_markdown
from pcdet_poly.evaluation.tabulate import crop_to_limits, tabulate_objects
from pcdet_poly.evaluation.waymo_op.comparison import find_largest_difference, run_waymo_op
from pcdet_poly.files import atomic_path, write_json


def evaluate_files(options: argparse.Namespace) -> None:
    """Evaluate what the options of `pcdet-poly evaluate` name; print the table and write what was asked for."""
    cfg = _read_settings(options)
    own, other = _read_sets(options)
    metrics = resolve_cutoffs(cfg.metrics, *filter(None, (own, other)), within=cfg.within)
    evaluator = _evaluate_set(own, metrics, cfg, options)
    table = evaluator.compute() if not options.bootstrap else bootstrap(evaluator, resamples=options.bootstrap)
    print_table(table, title=str(options.predictions))
    if options.output:
        _write_table(table, options.output)
    if options.plots:
        print(
            f"{len(write_plots(evaluator, table, options.plots, formats=options.formats))} pictures in {options.plots}"
        )
    if other is not None:
        second = _evaluate_set(other, metrics, cfg, options)
        title = f"{options.predictions} minus {options.against}"
        print_table(_subtract(evaluator, second, options.bootstrap), title=title)
    if options.official:
        worst, place = find_largest_difference(
            table, run_waymo_op(crop_to_limits(own, cfg.within), metrics, options.official)
        )
        print(f"largest difference to Waymo's op: {worst:.1e} ({place})")


def _read_settings(options: argparse.Namespace) -> EvaluationConfig:
    cfg = load_config(find_config(options.config)).evaluation if options.config else EvaluationConfig()
    changes: dict[str, object] = {}
    if options.breakdowns:
        changes["breakdowns"] = tuple(options.breakdowns)
    if options.let and cfg.metrics.let is None:
        changes["let"] = LetConfig()
    return cfg.model_copy(update={"metrics": cfg.metrics.model_copy(update=changes)})


def _read_sets(options: argparse.Namespace) -> tuple[EvaluationSet, EvaluationSet | None]:
    """What PREDICTIONS and --against give together with LABELS."""
    if options.labels is None:
        if options.predictions.suffix != ".npz":
            raise UserError(f"{options.predictions}: labels are missing; name their file or folder behind it")
        if options.against:
            raise UserError("--against: compare files of predictions; one .npz holds its own labels")
        return read_flat_arrays(options.predictions), None
    if options.labels.is_dir():
        labels = _read_store_labels(options.labels)
    else:
        labels = read_labels(options.labels, camera_only=options.camera_only)
    own = _join_sides(options.predictions, labels)
    return own, _join_sides(options.against, labels) if options.against else None


def _join_sides(path: Path, labels: EvaluationSide[Objects]) -> EvaluationSet:
    predictions = read_predictions(path)
    if predictions.frames and labels.frames and set(predictions.frames).isdisjoint(labels.frames):
        raise UserError(
            f"{path}: no frame has labels: predictions are of {predictions.frames[0]!r} and so on, labels of "
            f"{labels.frames[0]!r}; check that both are of one data set"
        )
    return EvaluationSet.join(predictions, labels)


def _read_store_labels(folder: Path) -> EvaluationSide[Objects]:
    store = Store(folder)
    frames = [store.read_labels(i).ground_truth for i in range(len(store))]
    rows = tabulate_objects(frames, class_names=store.class_names, frame_names=store.frame_ids)
    return EvaluationSide(rows, store.frame_ids)


def _evaluate_set(
    boxes: EvaluationSet, metrics: MetricsConfig, cfg: EvaluationConfig, options: argparse.Namespace
) -> Evaluator:
    evaluator = Evaluator(metrics, within=cfg.within)
    with Console(stderr=True).status("loading kernels; the first run on a machine compiles them, about 20 s"):
        evaluator.counter.count(EvaluationSet.empty())
    evaluator.add(boxes, threads=options.workers)
    return evaluator


def _subtract(first: Evaluator, second: Evaluator, resamples: int) -> ApTable:
    if resamples:
        return paired_bootstrap(first, second, resamples=resamples)
    return first.compute().subtract(second.compute())


def _write_table(table: ApTable, path: Path) -> None:
    if path.suffix == ".json":
        write_json(path, table.to_json())
        return
    text = table.to_csv() if path.suffix == ".csv" else to_markdown(table)
    with atomic_path(path) as temporary:
        temporary.write_text(text)
