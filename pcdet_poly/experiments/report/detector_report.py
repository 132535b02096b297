"""Everything that a report shows of one detector, computed once for Markdown, CSV and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pcdet_poly.experiments.report.epsilon_choice import EpsilonChoice, choose_on_halves, find_epsilon_arms
from pcdet_poly.experiments.report.findings import write_findings
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedSweep
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour, PtCounts, count_p_t, summarize_loss
from pcdet_poly.experiments.report.metrics import AdjustedP, ArmDifference, DetectorMetrics, adjust_p
from pcdet_poly.experiments.report.shown_frames import ShownFrame, select_frames


@dataclass(frozen=True)
class ReportSizes:
    """How much to compute and to show."""

    resamples: int = 400  # of the segments
    histogram_frames: int = 16  # that one run per arm looks at for its P_t
    shown_frames: int = 4
    shown_points: int = 20_000  # per frame


@dataclass(frozen=True)
class DetectorReport:
    """What was found with one detector."""

    metrics: DetectorMetrics
    epsilons: dict[str, float]  # of the arms that differ by epsilon alone
    differences: tuple[ArmDifference, ...]  # every arm in every cell
    adjusted_p: dict[tuple[str, str], AdjustedP]  # (arm, class) in the ranking metric
    choices: list[EpsilonChoice]
    losses: list[LossBehaviour]
    histograms: list[PtCounts]
    frames: list[ShownFrame]
    findings: list[str]

    @property
    def detector(self) -> DetectorRuns:
        """The runs that the report is about."""
        return self.metrics.detector

    @property
    def arms(self) -> list[str]:
        """Arms with a run, in the sweep's order."""
        return self.detector.arms

    def list_ranking_differences(self) -> list[ArmDifference]:
        """List the differences in the ranking metric."""
        return [one for one in self.differences if one.cell.ranking == self.metrics.ranking]


def build_report(detector: DetectorRuns, sizes: ReportSizes) -> DetectorReport:
    """Compute everything. The detector needs at least one run of its baseline."""
    metrics = DetectorMetrics(detector, resamples=sizes.resamples)
    differences = tuple(one for cell in metrics.list_cells() for one in metrics.compare_arms(cell))
    adjusted_p = adjust_p([one for one in differences if one.cell.ranking == metrics.ranking])
    epsilons = find_epsilon_arms(detector)
    choices = choose_on_halves(metrics, resamples=sizes.resamples)
    losses = [summarize_loss(detector, arm) for arm in detector.arms]
    return DetectorReport(
        metrics,
        epsilons,
        differences,
        adjusted_p,
        choices,
        losses,
        count_p_t(detector, sizes.histogram_frames),
        select_frames(metrics, sizes.shown_frames, sizes.shown_points),
        write_findings(metrics, adjusted_p, choices, losses, epsilons),
    )


def build_reports(sweep: FinishedSweep, sizes: ReportSizes) -> list[DetectorReport]:
    """Build the report of every detector that has a baseline to compare with."""
    return [build_report(detector, sizes) for detector in sweep.detectors if detector.runs[detector.baseline]]


def describe_report(sweep: FinishedSweep, report: DetectorReport) -> str:
    """Describe what was compared, in one line."""
    detector = report.detector
    seeds = sorted({seed for runs in detector.runs.values() for seed in runs})
    num_runs = sum(map(len, detector.runs.values()))
    num_trials = num_runs + sum(one.detector == detector.name for one in sweep.excluded)
    within = detector.config.evaluation.within
    where = f", centres in x {within[0]:g}..{within[2]:g}, y {within[1]:g}..{within[3]:g} m" if within else ""
    return (
        f"{detector.name}: {num_runs} of {num_trials} runs ({len(report.arms)} arms, seeds "
        f"{', '.join(map(str, seeds))}), {len(detector.labels.frame_ids)} frames of "
        f"{_count_segments(report.metrics.segments)}{where}; baseline {detector.baseline}"
    )


def _count_segments(names: Sequence[str]) -> str:
    whole = {name.partition("#")[0] for name in names}
    counted = "1 segment" if len(whole) == 1 else f"{len(whole)} segments"
    return counted if len(whole) == len(names) else f"{counted} in {len(names)} pieces"
