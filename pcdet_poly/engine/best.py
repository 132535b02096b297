"""The number that decides which checkpoint is the best."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.table import belongs_to_classes, has_labels
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.match_counter import MatchCounter


def list_ranking_metrics(config: Config) -> tuple[str, ...]:
    """Return the names of the metrics whose mean `evaluation.best_by` asks for.

    A name is like "3D/RANGE_TYPE_SIGN_[0, 30)_LEVEL_1/ap". "3D" and "BEV" alone stand for Waymo's ranking, the mean
    LEVEL_2 APH over the config's classes. Raises UserError where the evaluation gives no such metric.
    """
    wanted, known = config.evaluation.best_by, _list_metrics(config)
    names: tuple[str, ...] = (wanted,)
    if "/" not in wanted:
        names = tuple(f"{wanted}/OBJECT_TYPE_TYPE_{name}_LEVEL_2/aph" for name in config.data.classes)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0)
            nearest = f"did you mean {close[0]}? " if close else ""
            raise UserError(
                f"evaluation.best_by = {wanted}: the evaluation gives no {name}; {nearest}"
                "What it gives follows from evaluation.metrics and data.classes"
            )
    return names


def compute_score(metrics: Mapping[str, Any], config: Config) -> float:
    """Return the mean of the metrics that `evaluation.best_by` names, of those that have labels if any has.

    `metrics` is the content of metrics.json.
    """
    values = {
        f"{box}/{breakdown}/{name}": value
        for box, rows in metrics.items()
        if box != "meta"
        for breakdown, row in rows.items()
        for name, value in row.items()
    }
    names = list_ranking_metrics(config)
    names = tuple(name for name in names if has_labels(metrics, name.split("/")[1])) or names
    return float(sum(values[name] for name in names) / len(names))


def _list_metrics(config: Config) -> list[str]:
    """Return the names of all metrics that the evaluation of `config` gives for its classes."""
    cfg = config.evaluation.metrics
    counter = MatchCounter(cfg.model_copy(update={"score_cutoffs": None}))  # they change no name
    return [
        f"{overlap.name}/{shard}_LEVEL_{level}/{metric}"
        for overlap in counter.comparisons
        for shard in counter.layout.shards
        for level in cfg.levels
        if belongs_to_classes(config.data.classes, f"{shard}_LEVEL_{level}")
        for metric in overlap.metrics
    ]
