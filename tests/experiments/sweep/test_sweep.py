"""Sweeps: plans, pairing, failures, interruptions, the table while it runs."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pcdet_poly.errors import UserError
from pcdet_poly.experiments.report.detector_report import ReportSizes, build_reports
from pcdet_poly.experiments.report.formats.csv_files import format_differences_csv, format_runs_csv
from pcdet_poly.experiments.report.read_sweep import read_finished_sweep
from pcdet_poly.experiments.sweep import run_trials as command
from pcdet_poly.experiments.sweep.folder import SweepFolder, prepare_folder, read_description
from pcdet_poly.experiments.sweep.local_executor import LocalExecutor
from pcdet_poly.experiments.sweep.pairing import Pairing, compute_pairing, find_mismatch
from pcdet_poly.experiments.sweep.progress import Progress, build_table
from pcdet_poly.experiments.sweep.schema import Sweep, list_trials, read_sweep
from pcdet_poly.experiments.sweep.trial import build_train_command
from tests.experiments.conftest import SWEEP, train_here

ROOT = Path(__file__).resolve().parents[3]
PLAIN, VOXEL = {"name": "focal"}, {"name": "voxel", "config": "slim_voxel"}
HALVING = {"steps": [8], "final_steps": 8, "final_seeds": [2, 3, 4]}


def planned(sweep_file: Path, **changes: object) -> Sweep:
    return Sweep.model_validate(SWEEP | changes)


def test_trials_are_models_by_arms_by_seeds_with_whole_configs(sweep_file: Path) -> None:
    trials = list_trials(read_sweep(sweep_file), sweep_file.parent, ["train.epochs=7"])
    assert [trial.name for trial in trials] == [
        "tiny_focal_seed0", "tiny_drop1_seed0", "tiny_epsilon1_seed0",
        "tiny_focal_seed1", "tiny_drop1_seed1", "tiny_epsilon1_seed1",
    ]  # fmt: skip
    assert [trial.config.classification.epsilon for trial in trials[:3]] == [0, 0, 1]
    assert [trial.config.classification.num_terms for trial in trials[:3]] == [None, 1, None]
    assert [trial.config.train.seed for trial in trials] == [0, 0, 0, 1, 1, 1]
    assert {trial.config.train.epochs for trial in trials} == {7}


def test_the_first_seeds_alone_are_the_same_trials_with_their_own_settings(sweep_file: Path) -> None:
    whole = planned(sweep_file, per_seed={"augment.rotation_rad": [0.1, 0.2]})
    first = list_trials(whole.keep_first_seeds(1), sweep_file.parent)
    assert first == list_trials(whole, sweep_file.parent)[:3]
    assert {trial.config.augment.rotation_rad for trial in first} == {0.1}
    assert whole.keep_first_seeds(7) == whole


def test_a_grid_is_every_combination() -> None:
    grid = {"classification.epsilon": [-0.4, 1], "train.batch_size": [2]}
    arms = Sweep.model_validate(SWEEP | {"grid": grid}).all_arms
    assert [arm.name for arm in arms] == ["focal", "drop1", "epsilon-0.4-batch-size2", "epsilon1-batch-size2"]
    assert arms[2].overrides == {"classification.epsilon": -0.4, "train.batch_size": 2}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"baseline": "plain"}, "no arm is called 'plain'; there are focal, drop1, epsilon1"),
        ({"arms": [{"name": "focal"}, {"name": "focal"}]}, "two are called 'focal'"),
        ({"arms": [{"name": "a/b"}], "baseline": "a/b"}, "letters, digits"),
        ({"seeds": [1, 1]}, "has one of them twice"),
        ({"gpus": 1.5}, "neither a whole number"),
        ({"gpus": 2, "lockstep": True}, "a process has one GPU"),
        ({"armz": []}, "armz: no such key.*'arms'"),
        ({"arms": [{"name": "focal", "config": "slim_voxel"}]}, "baseline: 'focal' has a config of its own"),
        ({"models": {"a": "slim", "b": "slim"}, "arms": [PLAIN, VOXEL]}, "'voxel' has a config .* names several"),
        ({"arms": [PLAIN, VOXEL], "halving": HALVING}, "halving: .* 'voxel' has a config of its own"),
        ({"arms": [PLAIN, {"name": "voxel", "confg": "slim"}]}, "arms.1.confg: no such key.*'config'"),
    ],
)
def test_mistakes_in_a_sweep_file_name_the_file_and_the_key(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(SWEEP | changes))
    with pytest.raises(UserError, match=says) as error:
        read_sweep(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_mistake_in_an_override_names_the_arm(sweep_file: Path) -> None:
    wrong = planned(sweep_file, arms=[{"name": "focal", "overrides": {"classification.epsilom": 1}}])
    with pytest.raises(UserError, match=r"arm focal: .*did you mean 'epsilon'"):
        list_trials(wrong, sweep_file.parent)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_file_plans(path: Path) -> None:
    sweep = read_sweep(path)
    trials = list_trials(sweep, path.parent)
    assert len(trials) == len(sweep.models) * len(sweep.all_arms) * len(sweep.seeds)


def test_arms_of_a_seed_start_alike_and_seeds_do_not(finished_sweep: Path) -> None:
    folder = SweepFolder(finished_sweep)
    pairing = {path.name: Pairing.read(path / "pairing.json") for path in folder.runs.iterdir()}
    for seed in (0, 1):
        for arm in ("drop1", "epsilon1"):
            assert find_mismatch(pairing[f"tiny_{arm}_seed{seed}"], pairing[f"tiny_focal_seed{seed}"]) is None
    one = pairing["tiny_focal_seed0"]
    other = pairing["tiny_focal_seed1"].model_copy(update={"seed": 0})
    assert "other first weights" in str(find_mismatch(one, other))
    assert "other frames in epoch 0, batch 0" in str(
        find_mismatch(one, other.model_copy(update={"weights": one.weights}))
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("augment.rotation_rad=0", "other points in epoch 0"),
        ("model.head_width=4", "other first weights"),
        ("data.train_every=2", "other frames in epoch 0"),
        ("train.learning_rate=1", None),
    ],
)
def test_pairing_sees_what_may_not_differ(sweep_file: Path, tmp_path: Path, change: str, says: str | None) -> None:
    sweep = read_sweep(sweep_file)
    base = list_trials(sweep, sweep_file.parent)[0].config
    ours = list_trials(sweep, sweep_file.parent, [change])[0].config
    here, there = compute_pairing(ours, tmp_path), compute_pairing(base, tmp_path)
    mismatch = find_mismatch(here, there)
    assert mismatch is None if says is None else says in str(mismatch)
    between_detectors = find_mismatch(here, there, same_network=False)
    assert between_detectors == (mismatch if says and "frames" in says else None)


def test_a_sweep_does_not_go_on_with_other_settings(copied: Callable[[], SweepFolder], sweep_file: Path) -> None:
    folder, sweep = copied(), read_sweep(sweep_file)
    with pytest.raises(UserError, match=r"tiny_focal_seed0: was made with train.epochs = 4, the sweep now has 5"):
        prepare_folder(folder, sweep, list_trials(sweep, sweep_file.parent, ["train.epochs=5"]))
    prepare_folder(folder, sweep, list_trials(sweep, sweep_file.parent, ["data.workers=1"]))  # changes no number


class Scripted:
    """An executor whose trials end at once, as told."""

    def __init__(self, folder: SweepFolder, fails: dict[str, str]) -> None:
        self.folder, self.fails = folder, fails
        self.started: list[str] = []
        self.open: list[tuple[str, ...]] = []

    def has_room(self) -> bool:
        return len(self.open) < 2

    def start(self, group: tuple[str, ...]) -> None:
        (name,) = group
        self.started.append(name)
        self.open.append(group)
        if name in self.fails:
            self.folder.log_path(name).parent.mkdir(exist_ok=True)
            self.folder.log_path(name).write_text(f"train 1/9\nerror: {self.fails[name]}\n")

    def collect_ended(self) -> list[tuple[tuple[str, ...], int]]:
        ended, self.open = [(group, 2 if group[0] in self.fails else 0) for group in self.open], []
        return ended

    def stop(self) -> None:
        pass


def test_failures_are_isolated_named_and_tried_again(
    sweep_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_POLL_S", 0.0)
    folder, sweep = SweepFolder(tmp_path), read_sweep(sweep_file)
    trials = list_trials(sweep, sweep_file.parent)
    prepare_folder(folder, sweep, trials)
    total = {trial.name: 16 for trial in trials}
    first = Scripted(folder, {"tiny_drop1_seed0": "step 3: loss = nan"})
    command.run_trials(folder, trials, total, first)
    assert first.started == [trial.name for trial in trials]
    assert command.list_failures(folder, trials) == ["tiny_drop1_seed0: failed: step 3: loss = nan"]
    assert "tiny_drop1_seed0: failed (step 3: loss = nan)" in capsys.readouterr().err
    again = Scripted(folder, {})
    command.run_trials(folder, trials, total, again)
    assert again.started == ["tiny_drop1_seed0"]
    assert command.list_failures(folder, trials) == []


def test_the_table_while_it_runs(copied: Callable[[], SweepFolder], sweep_file: Path) -> None:
    folder, sweep = copied(), read_sweep(sweep_file)
    trials = list_trials(sweep, sweep_file.parent)
    folder.end_path("tiny_focal_seed1").unlink()
    folder.record_end("tiny_drop1_seed1", 2, 1.0)
    folder.end_path("tiny_epsilon1_seed1").unlink()
    progress = Progress(folder, trials, {trial.name: 32 for trial in trials})
    assert progress.estimate_time_left() == ""  # nothing was gained yet
    log = folder.run_path("tiny_focal_seed1") / "log.jsonl"
    log.write_text(log.read_text() + '{"event": "step", "step": 24}\n')
    progress.start_s -= 60  # 8 steps in a minute; 5 trials that are alive lack 3 * 16 + 8 + 16
    assert progress.estimate_time_left().startswith("9:0")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(build_table(progress, ["tiny_focal_seed1"]))
    text = console.export_text()
    score = json.loads((folder.run_path("tiny_focal_seed0") / "log.jsonl").read_text().splitlines()[-1])["score"]
    assert "3/6 trials" in text
    assert f"{100 * score:.2f}" in text
    assert "75%" in text
    assert "failed" in text
    assert "waiting" in text


def test_several_gpus_go_through_torchrun(tmp_path: Path) -> None:
    two = build_train_command(SweepFolder(tmp_path), "a", num_gpus=2)
    assert two[1:5] == ["-m", "torch.distributed.run", "--nnodes=1", "--nproc_per_node=2"]
    assert "--rdzv-conf=store_type=file" in two  # which opens no port
    assert two[two.index("pcdet_poly") + 1] == "train"
    assert two[-2:] == ["--device", "cuda"]
    assert build_train_command(SweepFolder(tmp_path), "a", num_gpus=0)[-2:] == ["--device", "cpu"]


def test_places_share_or_own_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")

    def devices(workers: int, gpus: float) -> list[str]:
        executor = LocalExecutor(SweepFolder(tmp_path), workers=workers, threads=1, gpus=gpus)
        return [executor._build_environment(place)["CUDA_VISIBLE_DEVICES"] for place in range(workers)]

    assert devices(4, 0.5) == ["4", "4", "5", "5"]
    assert devices(2, 2) == ["4,5", "6,7"]
    with pytest.raises(UserError, match="3 trials at a time on 2 each"):
        devices(3, 2)


@pytest.mark.slow
def test_killed_midway_and_started_again_apart_is_as_never_killed(sweep_file: Path, tmp_path: Path) -> None:
    long = ["train.epochs=20"]
    never = SweepFolder(tmp_path / "never")
    sweep = read_sweep(sweep_file).model_copy(update={"seeds": (0,), "arms": read_sweep(sweep_file).arms[:1]})
    trials = list_trials(sweep, sweep_file.parent, long)
    prepare_folder(never, sweep, trials)
    for trial in trials:
        train_here(never, trial.name)
    short = sweep_file.with_name("short.yaml")
    content = SWEEP | {"seeds": [0], "arms": SWEEP["arms"][:1]}
    short.write_text(yaml.safe_dump(content | {"lockstep": True}))
    killed = SweepFolder(tmp_path / "killed")
    words = [sys.executable, "-m", "pcdet_poly.experiments.sweep", str(short), *long, "--output", str(killed.path)]
    words += ["--workers", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 240
    while killed.count_done_steps(trials[1].name) < 20 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    for pid in children:
        os.kill(int(pid), signal.SIGKILL)
    process.wait()
    assert len(children) == 1, "both trials in one process"
    assert all(20 <= killed.count_done_steps(trial.name) < 80 for trial in trials)
    short.write_text(yaml.safe_dump(content | {"lockstep": False}))
    result = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=3600)
    assert result.returncode == 0, result.stderr
    assert read_description(killed) == read_description(never)
    tables = [build_reports(read_finished_sweep(folder), ReportSizes(20, 0, 0)) for folder in (killed, never)]
    assert format_runs_csv(tables[0]) == format_runs_csv(tables[1])
    assert format_differences_csv(tables[0]) == format_differences_csv(tables[1])
    for trial in trials:
        logs = [(folder.run_path(trial.name) / "log.jsonl").read_text() for folder in (killed, never)]
        assert logs[0] == logs[1]


@pytest.mark.slow
def test_ray_runs_trials_and_tells_how_they_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from pcdet_poly.experiments.sweep import ray_executor as sweep_ray

    def short_command(folder: SweepFolder, names: tuple[str, ...], gpus: float) -> list[str]:
        return [sys.executable, "-c", f"print('{names[0]}'); raise SystemExit({int(names == ('bad',)) * 3})"]

    monkeypatch.setattr(sweep_ray, "build_trial_command", short_command)
    folder = SweepFolder(tmp_path)
    executor = sweep_ray.RayExecutor(folder, workers=2, threads=1, gpus=0, address=None)
    try:
        for name in ("good", "bad"):
            executor.start((name,))
        ended: dict[tuple[str, ...], int] = {}
        while len(ended) < 2:
            ended |= dict(executor.collect_ended())
            time.sleep(0.05)
    finally:
        executor.stop()
    assert ended == {("good",): 0, ("bad",): 3}
    assert folder.log_path("good").read_text() == "good\n"
