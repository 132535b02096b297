"""Everything that a report shows of one detector, computed once for Markdown, CSV and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pcdet_poly.experiments.report.epsilon_choice import EpsilonChoice, choose_epsilon, find_epsilon_arms
from pcdet_poly.experiments.report.finished_sweep import DetectorRuns, FinishedSweep
from pcdet_poly.experiments.report.gradient_sizes import ArmSize, measure_arm_sizes
from pcdet_poly.experiments.report.loss_behaviour import LossBehaviour, PtCounts, count_p_t, summarize_loss
from pcdet_poly.experiments.report.metrics import AdjustedP, ArmDifference, DetectorMetrics, adjust_mean_p, adjust_p
from pcdet_poly.experiments.report.planned import Answers, answer_questions, choose_main_metric
from pcdet_poly.experiments.report.sentences.findings import Evidence, write_findings
from pcdet_poly.experiments.report.sentences.sizes import fit_answers
from pcdet_poly.experiments.report.shown_frames import ShownFrame, select_frames
from pcdet_poly.experiments.size_curve import SizeCurve


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
    answers: tuple[Answers, ...]  # to the planned questions, in the main metric and beside it
    sizes: dict[str, ArmSize]  # of gradients, by arm
    choice: EpsilonChoice | None
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

    @property
    def size_curve(self) -> tuple[tuple[str, ...], SizeCurve] | None:
        """The arms on the size curve, and the curve; None where there is none."""
        return fit_answers(self.answers[0], self.sizes) if self.answers else None

    def list_ranking_differences(self) -> list[ArmDifference]:
        """List the differences in the ranking metric."""
        return [one for one in self.differences if one.cell.ranking == self.metrics.ranking]


def build_report(detector: DetectorRuns, sizes: ReportSizes) -> DetectorReport:
    """Compute everything. The detector needs at least one run of its baseline."""
    metrics = DetectorMetrics(detector, resamples=sizes.resamples)
    differences = tuple(one for cell in metrics.list_cells() for one in metrics.compare_arms(cell))
    adjusted_p = adjust_p([one for one in differences if one.cell.ranking == metrics.ranking])
    answers = answer_questions(metrics)
    choice = None
    if answers:
        choice = choose_epsilon(metrics, choose_main_metric(metrics), answers[0].classes, resamples=sizes.resamples)
    evidence = Evidence(
        metrics,
        adjusted_p,
        answers,
        measure_arm_sizes(detector, sizes.histogram_frames),
        choice,
        [summarize_loss(detector, arm) for arm in detector.arms],
        find_epsilon_arms(detector),
    )
    return DetectorReport(
        metrics=metrics,
        epsilons=dict(evidence.epsilons),
        differences=differences,
        adjusted_p=adjusted_p | adjust_mean_p(metrics),
        answers=answers,
        sizes=dict(evidence.sizes),
        choice=choice,
        losses=list(evidence.losses),
        histograms=count_p_t(detector, sizes.histogram_frames),
        frames=select_frames(metrics, sizes.shown_frames, sizes.shown_points),
        findings=write_findings(evidence),
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
        f"{_count_segments(report.metrics.segments)}{where}; baseline {detector.baseline}{_name_others(detector)}"
    )


def _name_others(detector: DetectorRuns) -> str:
    """Say which arms are other detectors, whose pairs share less."""
    names = [name for name in detector.other_detectors if name in detector.arms]
    if not names:
        return ""
    many = len(names) > 1
    return (
        f"; {', '.join(names)}: {'other detectors' if many else 'another detector'}, paired by frames and their order "
        "alone, not by first weights"
    )


def _count_segments(names: Sequence[str]) -> str:
    whole = {name.partition("#")[0] for name in names}
    counted = "1 segment" if len(whole) == 1 else f"{len(whole)} segments"
    return counted if len(whole) == len(names) else f"{counted} in {len(names)} pieces"
