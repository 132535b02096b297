"""What an `ApTable` is a table of: `meta` of the metrics.json that the evaluation command writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from pcdet_poly.evaluation.files.provenance import UNKNOWN, Provenance
from pcdet_poly.evaluation.tabulate import Limits


@dataclass(frozen=True)
class EvaluationMeta:
    """What was evaluated: counts of both sides."""

    frames: int = 0
    predictions: int = 0
    ground_truths: int = 0  # objects that count
    within: Limits | None = None  # boxes of both sides with a centre outside were left out
    seconds: float = 0.0  # spent on evaluating
    resamples: int | None = None  # of the bootstrap, if one was made
    segments: int | None = None  # that the bootstrap drew from
    classes: tuple[str, ...] = ()  # that were evaluated; empty: not known
    objects: Mapping[str, int] = field(default_factory=dict)  # that count in each row of the table; empty: not known
    provenance: Provenance = UNKNOWN  # of the predictions

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name; those that not every evaluation has only where they are known."""
        optional = ("resamples", "segments", "classes", "objects", "provenance")
        values = asdict(self) | {"provenance": self.provenance.to_json()}
        return {name: value for name, value in values.items() if name not in optional or value not in (None, (), {})}

    def is_labelled(self, breakdown: str) -> bool:
        """Whether any object counts in a row of the table: the AP of a row without one says nothing."""
        return self.objects.get(breakdown, 1) > 0

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the record of what `to_json` gave; other keys are left out."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        if known.get("within") is not None:
            known |= {"within": tuple(known["within"])}
        if "classes" in known:
            known |= {"classes": tuple(known["classes"])}
        return cls(**known | {"provenance": Provenance.from_meta(value)})


@dataclass(frozen=True)
class DifferenceMeta:
    """Of which two evaluations a table holds the difference."""

    first: Meta
    second: Meta
    resamples: int | None = None
    segments: int | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that were evaluated; empty: not known."""
        return self.first.classes

    def is_labelled(self, breakdown: str) -> bool:
        """Whether any object counts in a row of the table."""
        return self.first.is_labelled(breakdown)

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name, marked as a difference; those of the bootstrap only where one was made."""
        value: dict[str, Any] = {"difference": True, "first": self.first.to_json(), "second": self.second.to_json()}
        bootstrap = {"resamples": self.resamples, "segments": self.segments}
        return value | {name: number for name, number in bootstrap.items() if number is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the record of what `to_json` gave."""
        first, second = (read_meta(value[name]) for name in ("first", "second"))
        return cls(first, second, value.get("resamples"), value.get("segments"))


Meta = EvaluationMeta | DifferenceMeta


def read_meta(value: Mapping[str, Any]) -> Meta:
    """Return the record of the `meta` of a metrics.json."""
    return DifferenceMeta.from_json(value) if value.get("difference") else EvaluationMeta.from_json(value)
