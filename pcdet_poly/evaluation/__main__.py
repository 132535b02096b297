"""`python -m pcdet_poly.evaluation PREDICTIONS LABELS`: Waymo's detection metrics of files.

PREDICTIONS  Waymo's Objects .bin, a detections .parquet, or the folder of a run
LABELS       Waymo's Objects .bin, or the folder of a frame store
One .npz that holds both sides as flat arrays takes the place of the two (docs/evaluation.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from pcdet_poly.config.load import load_config
from pcdet_poly.config.sections.evaluation import EvaluationConfig, LetConfig, MetricsConfig
from pcdet_poly.errors import UserError, run_command
from pcdet_poly.evaluation.bootstrap import bootstrap, paired_bootstrap
from pcdet_poly.evaluation.breakdowns import BREAKDOWNS
from pcdet_poly.evaluation.waymo_comparison import largest_difference, run_official
from pcdet_poly.evaluation.evaluator import Evaluator, with_cutoffs
from pcdet_poly.evaluation.files.any_file import read_labels, read_predictions
from pcdet_poly.evaluation.files.flat_arrays import read_arrays
from pcdet_poly.evaluation.plots import write_plots
from pcdet_poly.evaluation.tabulate import crop_to_limits, tabulate_objects
from pcdet_poly.evaluation.box_tables import EvaluationSide, Objects, EvaluationSet
from pcdet_poly.evaluation.table_text import print_table, to_markdown
from pcdet_poly.evaluation.ap_table import ApTable
from pcdet_poly.files import atomic_path, write_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pcdet_poly.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("predictions", metavar="PREDICTIONS", type=Path)
    parser.add_argument("labels", metavar="LABELS", type=Path, nargs="?")
    parser.add_argument("--output", metavar="FILE", type=_output, help="also write the table: .json, .csv or .md")
    parser.add_argument("--plots", metavar="DIR", type=Path, help="draw precision-recall curves and AP per range")
    parser.add_argument("--config", metavar="FILE", help="YAML whose evaluation.metrics and evaluation.within to use")
    parser.add_argument("--breakdowns", nargs="+", choices=BREAKDOWNS, help="in place of OBJECT_TYPE RANGE")
    parser.add_argument("--let", action="store_true", help="add LET-3D-AP, which forgives errors of depth")
    parser.add_argument("--camera-only", action="store_true", help="labels as in the camera-only challenge (.bin)")
    parser.add_argument(
        "--bootstrap", metavar="N", type=int, default=0, help="95 %% intervals from N resamplings of the segments"
    )
    parser.add_argument(
        "--against", metavar="OTHER", type=Path, help="a second detector's PREDICTIONS: print the difference, too"
    )
    parser.add_argument("--threads", metavar="N", type=int, default=os.cpu_count() or 1, help="default: all cores")
    parser.add_argument("--official", metavar="PYTHON", help="interpreter with Waymo's package: compare with its op")
    return parser


def main() -> int:
    """Read, evaluate, print, write."""
    arguments = _parser().parse_args()
    cfg = _settings(arguments)
    problem, other = _problems(arguments)
    metrics = with_cutoffs(cfg.metrics, *filter(None, (problem, other)), within=cfg.within)
    evaluator = _evaluated(problem, metrics, cfg, arguments)
    table = evaluator.result() if not arguments.bootstrap else bootstrap(evaluator, resamples=arguments.bootstrap)
    print_table(table, title=str(arguments.predictions))
    if arguments.output:
        _write(table, arguments.output)
    if arguments.plots:
        print(f"{len(write_plots(evaluator, table, arguments.plots))} pictures in {arguments.plots}")
    if other is not None:
        second = _evaluated(other, metrics, cfg, arguments)
        title = f"{arguments.predictions} minus {arguments.against}"
        print_table(_difference(evaluator, second, arguments.bootstrap), title=title)
    if arguments.official:
        worst, place = largest_difference(table, run_official(crop_to_limits(problem, cfg.within), metrics, arguments.official))
        print(f"largest difference to Waymo's op: {worst:.1e} ({place})")
    return 0


def _settings(arguments: argparse.Namespace) -> EvaluationConfig:
    cfg = load_config(arguments.config).evaluation if arguments.config else EvaluationConfig()
    changes: dict[str, object] = {}
    if arguments.breakdowns:
        changes["breakdowns"] = tuple(arguments.breakdowns)
    if arguments.let and cfg.metrics.let is None:
        changes["let"] = LetConfig()
    return cfg.model_copy(update={"metrics": cfg.metrics.model_copy(update=changes)})


def _problems(arguments: argparse.Namespace) -> tuple[EvaluationSet, EvaluationSet | None]:
    """What PREDICTIONS and --against give together with LABELS."""
    if arguments.labels is None:
        if arguments.predictions.suffix != ".npz":
            raise UserError(f"{arguments.predictions}: labels are missing; name their file or folder behind it")
        if arguments.against:
            raise UserError("--against: compare files of predictions; one .npz holds its own labels")
        return read_arrays(arguments.predictions), None
    if arguments.labels.is_dir():
        labels = _labels_of_store(arguments.labels)
    else:
        labels = read_labels(arguments.labels, camera_only=arguments.camera_only)
    problem = _joined(arguments.predictions, labels)
    return problem, _joined(arguments.against, labels) if arguments.against else None


def _joined(path: Path, labels: EvaluationSide[Objects]) -> EvaluationSet:
    predictions = read_predictions(path)
    if predictions.frames and labels.frames and set(predictions.frames).isdisjoint(labels.frames):
        raise UserError(
            f"{path}: no frame has labels: predictions are of {predictions.frames[0]!r} and so on, labels of "
            f"{labels.frames[0]!r}; check that both are of one data set"
        )
    return EvaluationSet.join(predictions, labels)


def _labels_of_store(folder: Path) -> EvaluationSide[Objects]:
    # Reading a store is the business of a higher floor, which only an entry point may reach up to.
    from pcdet_poly.data.store.frame_store import Store

    store = Store(folder)
    frames = [store.labels(i).ground_truth for i in range(len(store))]
    rows = tabulate_objects(frames, class_names=store.class_names, names=store.frame_ids)
    return EvaluationSide(rows, store.frame_ids)


def _evaluated(
    problem: EvaluationSet, metrics: MetricsConfig, cfg: EvaluationConfig, arguments: argparse.Namespace
) -> Evaluator:
    evaluator = Evaluator(metrics, within=cfg.within)
    with Console(stderr=True).status("loading kernels; the first run on a machine compiles them, about 20 s"):
        evaluator.plan.count(EvaluationSet.empty())
    evaluator.add(problem, threads=arguments.threads)
    return evaluator


def _difference(first: Evaluator, second: Evaluator, resamples: int) -> ApTable:
    if resamples:
        return paired_bootstrap(first, second, resamples=resamples)
    return first.result().difference(second.result())


def _write(table: ApTable, path: Path) -> None:
    if path.suffix == ".json":
        write_json(path, table.to_json())
        return
    text = table.to_csv() if path.suffix == ".csv" else to_markdown(table)
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def _output(name: str) -> Path:
    if not name.endswith((".json", ".csv", ".md")):
        raise argparse.ArgumentTypeError(f"{name!r} must end in .json, .csv or .md")
    return Path(name)


if __name__ == "__main__":
    sys.exit(run_command(main))
