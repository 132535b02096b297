"""sweep.json: all that the report needs to know of a sweep besides its runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pcdet_poly.experiments.sweep.questions import Questions

Expectation = Literal["worse", "not worse"]


class Record(BaseModel):
    """Base of the records in sweep.json. The file says `model` where the code says `detector`."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ArmRecord(Record):
    """One arm of the sweep."""

    name: str
    expect: Expectation | None = None  # for controls: what the study must find
    has_own_config: bool = False  # another detector, which shares frames with the others, and no first weights


class TrialRecord(Record):
    """One training of the sweep."""

    name: str
    detector: str = Field(alias="model")
    arm: str
    seed: int


class SweepDescription(Record):
    """What was trained."""

    baseline: str
    detectors: tuple[str, ...] = Field(alias="models")
    arms: tuple[ArmRecord, ...]
    seeds: tuple[int, ...]
    pieces_per_segment: int
    trials: tuple[TrialRecord, ...]
    questions: Questions = Questions()

    def to_json(self) -> dict[str, Any]:
        """Convert to the content of sweep.json, as plain types."""
        return self.model_dump(mode="json", by_alias=True)
