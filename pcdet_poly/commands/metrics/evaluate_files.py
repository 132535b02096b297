"""Files of predictions and labels -> tables of metrics, printed and written."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from pcdet_poly.commands.metrics.read_sides import EvaluatedSet, read_sets, read_settings
from pcdet_poly.config.sections.evaluation import EvaluationConfig, MetricsConfig
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.evaluation.bootstrap import bootstrap, paired_bootstrap
from pcdet_poly.evaluation.box_tables import EvaluationSet
from pcdet_poly.evaluation.evaluation_meta import DifferenceMeta, EvaluationMeta
from pcdet_poly.evaluation.evaluator import Evaluator, resolve_cutoffs
from pcdet_poly.evaluation.plots import write_plots
from pcdet_poly.evaluation.table_text import print_table, to_markdown
from pcdet_poly.evaluation.tabulate import crop_to_limits
from pcdet_poly.evaluation.waymo_op.comparison import find_largest_difference, run_waymo_op
from pcdet_poly.files import atomic_path, write_json
from pcdet_poly.names.shown_names import print_line


def evaluate_files(options: argparse.Namespace) -> None:
    """Evaluate what the options of `pcdet-poly evaluate` name; print the table and write what was asked for."""
    sets = read_sets(options)
    cfg = read_settings(options, sets[0])
    metrics = resolve_cutoffs(cfg.metrics, *(one.boxes for one in sets), within=cfg.within)
    evaluators = [_evaluate_set(one, metrics, cfg, options) for one in sets]
    tables = [
        _add_provenance(_compute_table(evaluator, options.bootstrap), one)
        for evaluator, one in zip(evaluators, sets, strict=True)
    ]
    print_table(tables[0], title=str(options.predictions))
    if options.plots:
        print_line(
            f"{len(write_plots(evaluators[0], tables[0], options.plots, formats=options.formats))} pictures in "
            f"{options.plots}"
        )
    if len(sets) > 1:
        tables.append(_subtract(evaluators, tables, options.bootstrap))
        print_table(tables[-1], title=f"{options.predictions} minus {options.against}")
    if options.output:
        _write_tables(tables, options.output)
    if options.official:
        boxes = crop_to_limits(sets[0].boxes, cfg.within)
        worst, place = find_largest_difference(tables[0], run_waymo_op(boxes, metrics, options.official))
        print_line(f"largest difference to Waymo's op: {worst:.1e} ({place})")


def _evaluate_set(
    one: EvaluatedSet, metrics: MetricsConfig, cfg: EvaluationConfig, options: argparse.Namespace
) -> Evaluator:
    evaluator = Evaluator(metrics, class_names=one.class_names, within=cfg.within)
    with Console(stderr=True).status("loading kernels; the first run on a machine compiles them, about 20 s"):
        evaluator.counter.count(EvaluationSet.empty())
    evaluator.add(one.boxes, threads=options.workers)
    if not evaluator.num_objects:
        area = "" if cfg.within is None else f", with a centre within {', '.join(f'{x:g}' for x in cfg.within)} m"
        raise UserError(
            f"{options.predictions}: no label of {', '.join(one.class_names) or 'any class'} counts (those with a "
            f"LiDAR point{area}), so nothing can be measured"
        )
    return evaluator


def _compute_table(evaluator: Evaluator, resamples: int) -> ApTable:
    return bootstrap(evaluator, resamples=resamples) if resamples else evaluator.compute()


def _add_provenance(table: ApTable, one: EvaluatedSet) -> ApTable:
    assert isinstance(table.meta, EvaluationMeta)
    return replace(table, meta=replace(table.meta, provenance=one.provenance))


def _subtract(evaluators: list[Evaluator], tables: list[ApTable], resamples: int) -> ApTable:
    """Return the first table minus the second, with paired intervals where a bootstrap is asked for."""
    difference = tables[0].subtract(tables[1])
    if not resamples:
        return difference
    paired = paired_bootstrap(evaluators[0], evaluators[1], resamples=resamples)
    assert isinstance(paired.meta, DifferenceMeta)
    return replace(paired, meta=replace(paired.meta, first=tables[0].meta, second=tables[1].meta))


def _write_tables(tables: list[ApTable], path: Path) -> None:
    """Write the table; of a comparison also that of the other detector and the difference, beside it."""
    names = (path, path.with_stem(f"{path.stem}_against"), path.with_stem(f"{path.stem}_difference"))
    for table, name in zip(tables, names, strict=False):
        _write_table(table, name)
    if len(tables) > 1:
        print_line(f"{', '.join(map(str, names))}: the two tables and their difference")


def _write_table(table: ApTable, path: Path) -> None:
    if path.suffix.lower() == ".json":
        write_json(path, table.to_json())
        return
    text = table.to_csv() if path.suffix.lower() == ".csv" else to_markdown(table)
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")
