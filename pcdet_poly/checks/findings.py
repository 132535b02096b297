"""What a check found, and the counting of findings over many frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Self

from pcdet_poly.errors import UserError

# Errors that an unusual data set may mean; `--allow NAME` makes warnings of them.
ALLOWABLE = {
    "class-sizes": "boxes of a class have sizes that such objects do not have",
    "class-order": "predictions of some classes lie on objects of others, and are built like these",
    "points-in-boxes": "hardly any box of a segment holds a point",
    "small-cloud": "all points are within 2 m",
    "z-axis": "points or boxes spread upwards as they should along the ground",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with data, or may be."""

    kind: str  # the same for findings of one kind, whatever their numbers
    text: str  # what it is, with its value, and what to do
    is_error: bool = True  # a number would be wrong; otherwise it may be meant

    def soften(self, allowed: Collection[str]) -> Self:
        """Return a warning in place of an error of an `allowed` kind; of an allowable kind, say how to allow it."""
        if not self.is_error or self.kind not in ALLOWABLE:
            return self
        if self.kind in allowed:
            return replace(self, is_error=False)
        return replace(self, text=f"{self.text} (meant? --allow {self.kind})")


def check_allowed(allowed: Iterable[str]) -> None:
    """Raise `UserError` for a kind of finding that is none, or is an error whatever was meant."""
    for kind in allowed:
        if kind not in ALLOWABLE:
            raise UserError(f"allowed: {kind!r} is none of {', '.join(ALLOWABLE)}")


@dataclass
class Tally:
    """Findings that may be meant, counted by kind: many frames with one oddity are one line."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)  # kind -> the first such finding, with its place

    def add(self, finding: Finding, place: str) -> None:
        """Count a finding; `place` names the frame or segment."""
        self.counts[finding.kind] += 1
        self.first.setdefault(finding.kind, f"{place}: {finding.text}")

    def merge(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.counts.update(other.counts)
        self.first = {**other.first, **self.first}

    def describe(self) -> list[str]:
        """Write a sentence for each kind: the first finding, and how many there are."""
        return [
            text if self.counts[kind] == 1 else f"{text} ({self.counts[kind]} times, this is the first)"
            for kind, text in self.first.items()
        ]


def list_errors(findings: Iterable[Finding]) -> list[str]:
    """Return the texts of the findings with which a number would be wrong."""
    return [finding.text for finding in findings if finding.is_error]
