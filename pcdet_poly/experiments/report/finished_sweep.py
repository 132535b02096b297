"""A sweep's folder -> the runs that may be compared, and by name and reason those that may not."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.engine.checkpoint import load_checkpoint
from pcdet_poly.engine.run import Run
from pcdet_poly.errors import UserError
from pcdet_poly.evaluation import ApTable, DetectionsFile, Evaluator, read_detections
from pcdet_poly.evaluation.evaluator import with_cutoffs
from pcdet_poly.evaluation.problems import problem_of_frames
from pcdet_poly.experiments.report.labels import Labels, read_labels
from pcdet_poly.experiments.sweep.folder import SweepFolder, read_description
from pcdet_poly.experiments.sweep.pairing import first_mismatch

_SAME = 1e-5  # largest difference of a metric between metrics.json and its recomputation


@dataclass(frozen=True)
class Trained:
    """A finished run and what it found."""

    run: Run
    seed: int
    evaluator: Evaluator  # counts per segment
    detections: DetectionsFile
    pairing: dict[str, Any]


@dataclass(frozen=True)
class Excluded:
    """A trial that is in no number of the report."""

    trial: str
    model: str
    arm: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Model:
    """All that was found with one model. Every arm has a config, also one without a run that may be compared."""

    name: str
    baseline: str
    configs: dict[str, Config]  # by arm, in the sweep's order
    runs: dict[str, dict[int, Trained]]  # arm -> seed -> run
    labels: Labels
    expected: dict[str, str]  # arm -> "worse" or "not worse", for controls

    @property
    def config(self) -> Config:
        """The baseline's."""
        return self.configs[self.baseline]

    def common_seeds(self, arm: str) -> list[int]:
        """Seeds with a run of `arm` and one of the baseline."""
        return [seed for seed in self.runs[arm] if seed in self.runs[self.baseline]]


@dataclass(frozen=True)
class Study:
    """A sweep's results."""

    name: str
    models: tuple[Model, ...]
    excluded: tuple[Excluded, ...]
    num_trials: int


def read_study(folder: SweepFolder) -> Study:
    """Read every trial. What cannot be read, or compared, is left out and named."""
    description = read_description(folder)
    excluded: list[Excluded] = []
    models = tuple(_read_model(folder, description, name, excluded) for name in description["models"])
    return Study(folder.path.resolve().name, models, tuple(excluded), len(description["trials"]))


def _read_model(folder: SweepFolder, description: dict[str, Any], name: str, excluded: list[Excluded]) -> Model:
    baseline = description["baseline"]
    arms = {arm["name"]: arm["expect"] for arm in description["arms"]}
    trials = [trial for trial in description["trials"] if trial["model"] == name]
    configs = {t["arm"]: load_config(folder.config(t["name"])) for t in reversed(trials)}
    labels = read_labels(configs[baseline], description["pieces_per_segment"])
    runs: dict[str, dict[int, Trained]] = {arm: {} for arm in arms}
    for trial in sorted(trials, key=lambda trial: trial["arm"] != baseline):  # the baseline first
        arm, seed = trial["arm"], trial["seed"]
        try:
            trained = read_trial(folder, trial["name"], seed, labels)
            _check_comparable(trained, runs[baseline].get(seed), arm == baseline)
        except UserError as problem:
            excluded.append(Excluded(trial["name"], name, arm, seed, str(problem)))
        else:
            runs[arm][seed] = trained
    expected = {arm: expect for arm, expect in arms.items() if expect}
    return Model(name, baseline, {arm: configs[arm] for arm in arms}, runs, labels, expected)


def read_trial(folder: SweepFolder, name: str, seed: int, labels: Labels) -> Trained:
    """A finished, whole run. Raises UserError with the reason why it may not be compared."""
    import torch

    status, reason = folder.status(name)
    if status == "failed":
        raise UserError(f"failed: {reason}")
    if status == "waiting":
        steps = folder.done_steps(name)
        raise UserError(f"not finished: stopped after {steps} steps" if steps else "missing: it never started")
    path = folder.run(name)
    for file in ("config.yaml", "metrics.json", "detections.parquet", "pairing.json"):
        if not (path / file).is_file():
            raise UserError(f"incomplete: {file} is missing")
    run = Run(path, load_config(path / "config.yaml"), torch.device("cpu"))
    metrics = _json(path / "metrics.json")
    step = load_checkpoint(run.find_checkpoint("last")).step
    if step != metrics["meta"]["step"]:
        raise UserError(f"metrics.json is of step {metrics['meta']['step']}, the last checkpoint of step {step}")
    detections = read_detections(path / "detections.parquet")
    evaluator = _evaluated(run.config, detections, labels)
    _check_metrics(evaluator.result(), ApTable.from_json(metrics))
    return Trained(run, seed, evaluator, detections, _json(path / "pairing.json"))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise UserError(f"{path.name}: not JSON, or cut off") from None


def _evaluated(config: Config, found: DetectionsFile, labels: Labels) -> Evaluator:
    """The counts of metrics.json once more, now by segment."""
    if found.frame_ids != labels.frame_ids:
        raise UserError(f"{len(found.frame_ids)} frames were evaluated, other ones than the sweep's baseline names")
    problem = problem_of_frames(
        found.detections,
        labels.ground_truth,
        class_names=found.class_names,
        no_label_zone=labels.in_zone(found.detections),
        segments=labels.segments,
    )
    cfg = with_cutoffs(config.evaluation.metrics, problem, within=config.evaluation.within)
    evaluator = Evaluator(cfg, class_names=found.class_names, within=config.evaluation.within)
    evaluator.add(problem)
    return evaluator


def _check_metrics(ours: ApTable, written: ApTable) -> None:
    for part, breakdown, metric, value in written.rows():
        if not math.isfinite(value):
            raise UserError(f"metrics.json: {part} {breakdown} {metric} is {value}")
        if not abs(ours[part][breakdown][metric] - value) <= _SAME:
            raise UserError(f"metrics.json and detections.parquet are not of one evaluation ({part} {breakdown})")


def _check_comparable(trained: Trained, base: Trained | None, is_baseline: bool) -> None:
    if is_baseline:
        return
    if base is None:
        raise UserError(f"no partner: the baseline's run with seed {trained.seed} is missing or left out")
    if mismatch := first_mismatch(trained.pairing, base.pairing):
        raise UserError(f"not paired with the baseline: {mismatch}")
    ours, theirs = trained.evaluator.plan, base.evaluator.plan
    if (ours.layout, ours.cfg.levels, trained.evaluator.within) != (
        theirs.layout, theirs.cfg.levels, base.evaluator.within,
    ):  # fmt: skip
        raise UserError("evaluated with other metrics settings than the baseline")
