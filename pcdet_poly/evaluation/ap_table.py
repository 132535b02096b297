"""AP of every breakdown, box type and level: a table that compares and goes to files; `table_text.py` prints it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from pcdet_poly.errors import UserError
from pcdet_poly.evaluation.evaluation_meta import DifferenceMeta, EvaluationMeta, Meta, read_meta
from pcdet_poly.evaluation.kernels.average_precision import compute_average_precisions
from pcdet_poly.evaluation.match_counter import MatchCounter

Entries = Mapping[str, Mapping[str, Mapping[str, float]]]
Interval = tuple[float, float]  # low, high
LEADERBOARD_TYPES = ("VEHICLE", "PEDESTRIAN", "CYCLIST")  # whose mean is Waymo's ALL_NS


@dataclass(frozen=True)
class ApTable:
    """Part ("3D", "BEV", ...) -> official breakdown name -> metric ("ap", "aph"; LET's "apl") -> value.

    `intervals`, where a bootstrap was made, has the same keys and (low, high) in place of values. `meta` says what
    was evaluated.
    """

    entries: Entries
    meta: Meta = field(default_factory=EvaluationMeta)
    intervals: Mapping[str, Mapping[str, Mapping[str, Interval]]] = field(default_factory=dict)

    def __getitem__(self, part: str) -> Mapping[str, Mapping[str, float]]:
        return self.entries[part]

    def iterate_rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield part, breakdown, metric and value of everything in the table."""
        for part, breakdowns in self.entries.items():
            for name, metrics in breakdowns.items():
                for metric, value in metrics.items():
                    yield part, name, metric, value

    def list_mean_types(self, level: int) -> tuple[str, ...]:
        """List the types over which a mean says something: those that were evaluated and have labels, but signs."""
        first, prefix, suffix = next(iter(self.entries.values())), "OBJECT_TYPE_TYPE_", f"_LEVEL_{level}"
        types = [n[len(prefix) : -len(suffix)] for n in first if n.startswith(prefix) and n.endswith(suffix)]
        wanted = self.meta.classes or LEADERBOARD_TYPES
        return tuple(
            kind
            for kind in types
            if kind in wanted and kind != "SIGN" and self.meta.is_labelled(f"{prefix}{kind}{suffix}")
        )

    def compute_mean(self, part: str, level: int, types: Sequence[str] = LEADERBOARD_TYPES) -> dict[str, float]:
        """Compute the mean of each metric over types of objects.

        Args:
            part: "3D", "BEV" and so on.
            level: 1 or 2.
            types: which types; vehicles, pedestrians and cyclists give the leaderboard's ALL_NS.

        Returns:
            Metric -> mean.
        """
        rows = [self.entries[part][f"OBJECT_TYPE_TYPE_{kind}_LEVEL_{level}"] for kind in types]
        return {metric: sum(row[metric] for row in rows) / len(rows) for metric in rows[0]}

    def subtract(self, other: ApTable) -> ApTable:
        """Return this table minus `other`, value by value. Raises UserError where the two have different rows."""
        ours, theirs = list(self.iterate_rows()), list(other.iterate_rows())
        if [row[:3] for row in ours] != [row[:3] for row in theirs]:
            raise UserError("difference: the tables have different rows; evaluate both with one config")
        values = iter(a[3] - b[3] for a, b in zip(ours, theirs, strict=True))
        entries = {
            part: {name: {metric: next(values) for metric in row} for name, row in breakdowns.items()}
            for part, breakdowns in self.entries.items()
        }
        return ApTable(entries, DifferenceMeta(self.meta, other.meta))

    def to_json(self) -> dict[str, Any]:
        """Return what metrics.json holds: the parts, then `meta`; with a bootstrap `ap_interval` beside `ap`."""
        return {
            part: {name: self._build_cell(part, name) for name in breakdowns}
            for part, breakdowns in self.entries.items()
        } | {"meta": self.meta.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the table that `to_json` was called on. Keys of `meta` that are not ours are left out."""
        parts = {part: rows for part, rows in value.items() if part != "meta"}
        suffix = "_interval"
        entries = {
            part: {n: {k: v for k, v in row.items() if not k.endswith(suffix)} for n, row in rows.items()}
            for part, rows in parts.items()
        }
        intervals = {
            part: {
                n: {k.removesuffix(suffix): (v[0], v[1]) for k, v in row.items() if k.endswith(suffix)}
                for n, row in rows.items()
            }
            for part, rows in parts.items()
            if any(k.endswith(suffix) for row in rows.values() for k in row)
        }
        return cls(entries, read_meta(value.get("meta", {})), intervals)

    def to_csv(self) -> str:
        """Return one line per value: part, breakdown, metric, value, low, high (empty without a bootstrap)."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("part", "breakdown", "metric", "value", "low", "high"))
        for part, name, metric, value in self.iterate_rows():
            writer.writerow((part, name, metric, value, *(self.get_interval(part, name, metric) or ("", ""))))
        return text.getvalue()

    def get_interval(self, part: str, name: str, metric: str) -> Interval | None:
        """Return the bootstrap's interval of a value, or None where no bootstrap was made.

        Args:
            part: "3D", "BEV" and so on.
            name: official name of the breakdown, with its level.
            metric: "ap", "aph" or "apl".

        Returns:
            (low, high), as shares like the value itself.
        """
        return self.intervals[part][name][metric] if part in self.intervals else None

    def _build_cell(self, part: str, name: str) -> dict[str, Any]:
        row: dict[str, Any] = dict(self.entries[part][name])
        if part in self.intervals:
            row |= {f"{metric}_interval": list(limits) for metric, limits in self.intervals[part][name].items()}
        return row


def compute_values(counts: np.ndarray, counter: MatchCounter) -> np.ndarray:
    """Compute AP, APH and APL, (parts, shards, levels, 3) float32, of counts (parts, shards, NUM_COUNTS, C)."""
    cfg = counter.cfg
    levels = np.array(cfg.levels)
    return np.stack([compute_average_precisions(part, levels, cfg.min_precision, cfg.recall_delta) for part in counts])


def name_values(values: np.ndarray, counter: MatchCounter) -> dict[str, dict[str, dict[str, Any]]]:
    """Put values (parts, shards, levels, 3, ...) under their official names, as in `ApTable.entries`."""
    names = [f"{shard}_LEVEL_{level}" for shard in counter.layout.shards for level in counter.cfg.levels]
    flat = values.reshape(len(counter.comparisons), len(names), 3, *values.shape[4:]).tolist()
    return {
        part.name: {name: dict(zip(part.metrics, row, strict=False)) for name, row in zip(names, rows, strict=True)}
        for part, rows in zip(counter.comparisons, flat, strict=True)
    }
