"""AP of every breakdown, box type and level: a table that prints, compares and goes to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from pcdet_poly.evaluation.average_precision import average_precisions
from pcdet_poly.evaluation.plan import Plan

Entries = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class ApTable:
    """Box type -> official breakdown name -> metric ("ap", "aph") -> value."""

    entries: Entries
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: np.ndarray, plan: Plan, meta: Mapping[str, Any]) -> Self:
        """From counts (parts, shards, NUM_COUNTS, C) of a plan."""
        cfg = plan.cfg
        names = [f"{shard}_LEVEL_{level}" for shard in plan.layout.shards for level in cfg.levels]
        entries: dict[str, dict[str, dict[str, float]]] = {}
        for overlap, of_part in zip(plan.overlaps, counts, strict=True):
            values = average_precisions(of_part, np.array(cfg.levels), cfg.min_precision, cfg.recall_delta)
            metrics = ("ap", "aph") if overlap.tolerance is None else ("ap", "aph", "apl")
            rows = values.reshape(len(names), -1).tolist()
            entries[overlap.name] = {
                name: dict(zip(metrics, row, strict=False)) for name, row in zip(names, rows, strict=True)
            }
        return cls(entries, meta)

    def __getitem__(self, box_type: str) -> Mapping[str, Mapping[str, float]]:
        return self.entries[box_type]

    def to_json(self) -> dict[str, Any]:
        """Box types, then `meta`: what metrics.json holds."""
        return {
            **{box: {name: dict(row) for name, row in rows.items()} for box, rows in self.entries.items()},
            "meta": dict(self.meta),
        }
