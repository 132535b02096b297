"""AP of every breakdown, box type and level: a table that prints, compares and goes to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from pcdet_poly.config.schema import MetricsConfig
from pcdet_poly.evaluation.average_precision import average_precisions

Entries = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class ApTable:
    """Box type -> official breakdown name -> metric ("ap", "aph") -> value."""

    entries: Entries
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, counts: np.ndarray, cfg: MetricsConfig, shards: Sequence[str], meta: Mapping[str, Any]) -> Self:
        """From counts (box types, shards, NUM_COUNTS, C)."""
        levels = np.array(cfg.levels)
        entries: dict[str, dict[str, dict[str, float]]] = {}
        for box_type, of_box in zip(cfg.box_types, counts, strict=True):
            values = average_precisions(of_box, levels, cfg.min_precision, cfg.recall_delta)
            entries[box_type] = {
                f"{shard}_LEVEL_{level}": {"ap": float(values[i, k, 0]), "aph": float(values[i, k, 1])}
                for i, shard in enumerate(shards)
                for k, level in enumerate(cfg.levels)
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
