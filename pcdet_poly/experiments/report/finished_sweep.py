"""What the report reads of a sweep: the runs that may be compared, and the trials that may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pcdet_poly.config.schema import Config
from pcdet_poly.engine.run import Run
from pcdet_poly.evaluation import DetectionsFile, Evaluator
from pcdet_poly.experiments.report.labels import ValidationLabels
from pcdet_poly.experiments.sweep.pairing import Pairing
from pcdet_poly.experiments.sweep.questions import Questions

# The share of the official overlap that is enough beside the main metric: at 0.7 AP measures boxes as much as scores.
LOW_IOU_SHARE = 0.6


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, what it detected, and how that was counted."""

    run: Run
    seed: int
    evaluator: Evaluator  # counts per segment
    low_iou: Evaluator  # the same where LOW_IOU_SHARE of the overlap is enough
    detections: DetectionsFile
    pairing: Pairing


@dataclass(frozen=True)
class ExcludedTrial:
    """A trial that is in no number of the report."""

    trial: str
    detector: str
    arm: str
    seed: int
    reason: str


@dataclass(frozen=True)
class DetectorRuns:
    """All comparable runs of one detector. Every arm has a config, even one without a comparable run."""

    name: str
    baseline: str
    configs: dict[str, Config]  # by arm, in the sweep's order
    runs: dict[str, dict[int, FinishedRun]]  # arm -> seed -> run
    labels: ValidationLabels
    expected: Mapping[str, str]  # arm -> "worse" or "not worse", for controls
    questions: Questions = field(default_factory=Questions)
    other_detectors: tuple[str, ...] = ()  # arms with a config of their own

    @property
    def config(self) -> Config:
        """The baseline's config."""
        return self.configs[self.baseline]

    @property
    def arms(self) -> list[str]:
        """Arms with a run, in the sweep's order."""
        return [arm for arm, runs in self.runs.items() if runs]

    def list_common_seeds(self, arm: str) -> list[int]:
        """List the seeds with a run of `arm` and one of the baseline."""
        return [seed for seed in self.runs[arm] if seed in self.runs[self.baseline]]


@dataclass(frozen=True)
class FinishedSweep:
    """A sweep's runs, by detector."""

    name: str
    detectors: tuple[DetectorRuns, ...]
    excluded: tuple[ExcludedTrial, ...]
    num_trials: int
