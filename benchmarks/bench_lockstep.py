"""A training step of an arm: alone, and in lockstep with the other arms of its seed.

    python -m benchmarks.bench_lockstep [CONFIG] [--arms 6] [--steps 40] [--rounds 3] [--threads 1] [key=value ...]

Full training loops, logging included, on simulated frames in a store; CPU milliseconds per step and arm, medians of
rounds that take turns. Both precisions, so that one run shows what `train.mixed_precision: auto` may save, too.
Then what `classification.match: step` and logging the gradients' sizes at every step add to a step.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.dataset import FrameDataset
from pcdet_poly.data.store.frame_store import write_store
from pcdet_poly.engine.start import prepare_run
from pcdet_poly.engine.train import train_in_lockstep
from pcdet_poly.malloc import keep_all_freed_memory
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.waymo import decode_frame, encode_scan

NUM_FRAMES = 20
Name = TypeVar("Name", bound=Hashable)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="configs/slim.yaml")
    parser.add_argument("overrides", metavar="key=value", nargs="*")
    parser.add_argument("--arms", type=int, default=6)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    keep_all_freed_memory()  # as commands do
    given = parser.parse_intermixed_args()
    with TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        write_store(store, (decode_frame(encode_scan(scan)) for scan in simulate_segment(7, num_frames=NUM_FRAMES)))
        words = [f"data.train=[{store}]", f"train.steps={given.steps}", f"train.threads={given.threads}"]

        def config(*more: str) -> Config:
            return load_config(given.config, [*given.overrides, *words, *more])

        print(f"{given.config}, {given.arms} arms, {given.steps} steps, torch {torch.__version__}\n")
        print_lockstep({kind: config(f"train.mixed_precision={kind}") for kind in ("false", "bf16")}, given)
        print_extras(config, given)


def print_lockstep(configs: Mapping[str, Config], given: argparse.Namespace) -> None:
    """Print the cost of a step alone and in lockstep, in each precision."""
    print("| arithmetic | alone | in lockstep | ratio | to the dearer precision alone |")
    print("|---|---|---|---|---|")
    groups = {(kind, size): [cfg] * size for kind, cfg in configs.items() for size in (1, given.arms)}
    cost = measure(groups, given.rounds)
    dearest = max(cost[kind, 1] for kind in configs)
    for kind in configs:
        alone, together = cost[kind, 1], cost[kind, given.arms]
        name = "float32" if kind == "false" else kind
        print(f"| {name} | {alone:.1f} | {together:.1f} | {together / alone:.2f} | {together / dearest:.2f} |")


def print_extras(config: Callable[..., Config], given: argparse.Namespace) -> None:
    """Print what matching and logging add to a step."""
    quiet = "train.log_every=100000"
    groups = {
        "plain": [config(quiet)],
        "match: step": [config(quiet, "classification.epsilon=2", "classification.match=step")],
        "gradient sizes logged at every step": [config("train.log_every=1")],
        "the same every 20 steps": [config("train.log_every=20")],
    }
    cost = measure(groups, given.rounds)
    print("\n| | ms | ratio to plain |\n|---|---|---|")
    for name, value in cost.items():
        print(f"| {name} | {value:.1f} | {value / cost['plain']:.3f} |")


def measure(groups: Mapping[Name, Sequence[Config]], rounds: int) -> dict[Name, float]:
    """Median CPU milliseconds per step and arm of each group of trainings; the groups take turns."""
    found: dict[Name, list[float]] = {name: [] for name in groups}
    for number in range(rounds + 1):
        for name, configs in groups.items():
            cost = train_once(configs)
            if number:  # the first round loads kernels
                found[name].append(cost)
    return {name: statistics.median(costs) for name, costs in found.items()}


def train_once(configs: Sequence[Config]) -> float:
    """CPU milliseconds per step and arm of one group of trainings from their start to their end."""
    with TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        frames, device = FrameDataset(configs[0].data.train), torch.device("cpu")
        runs = [
            prepare_run(cfg, frames, Path(folder) / str(number), device, resume=False)
            for number, cfg in enumerate(configs)
        ]
        start_s = time.process_time()
        errors = train_in_lockstep(runs, frames, None)
        spent_s = time.process_time() - start_s
    assert not any(errors), errors
    return 1e3 * spent_s / len(configs) / configs[0].train.steps


if __name__ == "__main__":
    main()
