"""Two detectors beside each other: inference and a training step on a simulated frame, and how each uses the CPU.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_beside [CONFIG] [OTHER] [--repeat N] [key=value ...]

Seconds of CPU time, medians of rounds in which the two take turns, bfloat16, channels last; inference is from points to
boxes with norms folded, as `detect` computes it. GFLOP are those of convolutions, dense ones and those of active cells,
twice the multiplications; a training step counts as three passes. The ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_step import Variant, infer, simulated_batch, train_step
from benchmarks.common import together_cpu_ms
from pcdet_poly.config.load import load_config
from pcdet_poly.models import build_recipe
from pcdet_poly.models.fuse import fuse_for_inference
from pcdet_poly.models.layers import sparse_layers
from pcdet_poly.structures import Batch

VARIANT = Variant("bfloat16, channels last")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="configs/centerpoint_pillar.yaml")
    parser.add_argument("other", nargs="?", default="configs/pillarnext.yaml")
    parser.add_argument("overrides", metavar="key=value", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_intermixed_args()
    torch.set_num_threads(given.threads)
    names = (given.config, given.other)
    ours = [make_calls(name, given.overrides) for name in names]
    print(f"{platform.machine()}, {given.threads} thread(s), {given.repeat} rounds, torch {torch.__version__}\n")
    print("| pass | detector | GFLOP | CPU s | GFLOP/s | to the first |\n|---|---|---|---|---|---|")
    for number, what in enumerate(("inference", "training step")):
        gflop = [calls[0] * (1, 3)[number] for calls in ours]
        rounds = together_cpu_ms([calls[1 + number] for calls in ours], given.repeat)
        for k, name in enumerate(names):
            seconds = median(each[k] for each in rounds) / 1e3
            ratio = median((gflop[k] / each[k]) / (gflop[0] / each[0]) for each in rounds)
            print(f"| {what} | {name} | {gflop[k]:.0f} | {seconds:.2f} | {gflop[k] / seconds:.0f} | {ratio:.2f} x |")


def make_calls(name: str, overrides: list[str]) -> tuple[float, Callable[[], None], Callable[[], None]]:
    """GFLOP of a pass, inference, and a training step of the detector of a config."""
    torch.manual_seed(0)
    cfg = load_config(name, overrides)
    recipe, batch = build_recipe(cfg), simulated_batch(cfg, 1)
    gflop = count_gflop(recipe.model.eval(), batch)
    folded = fuse_for_inference(recipe.model)
    optimizer = torch.optim.AdamW(recipe.model.parameters(), lr=1e-4, fused=True)
    return (
        gflop,
        partial(infer, folded, recipe, batch, VARIANT),
        lambda: train_step(recipe.model.train(), recipe, optimizer, batch, VARIANT),
    )


@torch.no_grad()
def count_gflop(network: nn.Module, batch: Batch) -> float:
    """GFLOP of the convolutions of one forward pass."""
    pairs: list[float] = []
    with count_pairs(pairs), FlopCounterMode(display=False) as dense:
        network(batch)
    convolutions = sum(count for op, count in dense.get_flop_counts()["Global"].items() if "conv" in str(op))
    return (convolutions + sum(pairs)) / 1e9


@contextmanager
def count_pairs(found: list[float]) -> Iterator[None]:
    """Note the arithmetic of every sparse convolution inside: a product of rows for each pair of its rulebook."""
    compute = sparse_layers.sparse_conv

    def count(features: torch.Tensor, weight: torch.Tensor, rulebook: Any, **more: Any) -> Any:
        found.append(2.0 * rulebook.start[-1] * weight.shape[0] * weight.shape[-1])
        return compute(features, weight, rulebook, **more)

    with patch.object(sparse_layers, "sparse_conv", count):
        yield


if __name__ == "__main__":
    main()
