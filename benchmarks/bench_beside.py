"""Two detectors beside each other: inference and a training step on a simulated frame, and how each uses the CPU.

    OMP_NUM_THREADS=1 python -m benchmarks.bench_beside [CONFIG] [OTHER] [--repeat N] [key=value ...]

Seconds of CPU time, medians of rounds in which the two take turns, bfloat16, channels last; inference is from points to
boxes as `detect` computes it: norms folded, box branches at cells that may become boxes alone (of networks without
training all may: decode.top_k=1000). GFLOP are those of convolutions, dense ones and those of active cells, twice the
multiplications; a training step counts as three passes. The ratio is the median over rounds. With --maps, boxes of all
cells are computed.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_step import Variant, infer, simulated_batch, train_step
from benchmarks.common import together_cpu_ms
from pcdet_poly.config.load import load_config
from pcdet_poly.malloc import keep_all_freed_memory
from pcdet_poly.models import build_recipe
from pcdet_poly.models.fuse import fuse_for_inference, fuse_recipe
from pcdet_poly.models.layers import folded_layers, sparse_layers

DETECTORS = ("configs/centerpoint_pillar.yaml", "configs/pillarnext.yaml")
VARIANT = Variant("bfloat16, channels last")


@dataclass(frozen=True)
class Pass:
    """Something to measure, and its arithmetic."""

    gflop: float
    call: Callable[[], None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", metavar="CONFIG OTHER key=value", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--maps", action="store_true", help="compute boxes of all cells")
    keep_all_freed_memory()  # as commands do
    given = parser.parse_intermixed_args()
    torch.set_num_threads(given.threads)
    overrides = [word for word in given.words if "=" in word]
    names = [word for word in given.words if "=" not in word] or [*DETECTORS]
    ours = [make_calls(name, overrides, maps=given.maps) for name in names]
    print(f"{platform.machine()}, {given.threads} thread(s), {given.repeat} rounds, torch {torch.__version__}\n")
    print("| pass | detector | GFLOP | CPU s | GFLOP/s | to the first |\n|---|---|---|---|---|---|")
    for number, what in enumerate(("inference", "training step")):
        gflop = [each[number].gflop for each in ours]
        rounds = together_cpu_ms([each[number].call for each in ours], given.repeat)
        for k, name in enumerate(names):
            seconds = median(each[k] for each in rounds) / 1e3
            ratio = median((gflop[k] / each[k]) / (gflop[0] / each[0]) for each in rounds)
            print(f"| {what} | {name} | {gflop[k]:.0f} | {seconds:.2f} | {gflop[k] / seconds:.0f} | {ratio:.2f} x |")


def make_calls(name: str, overrides: list[str], *, maps: bool) -> tuple[Pass, Pass]:
    """Inference and a training step of the detector of a config."""
    torch.manual_seed(0)
    cfg = load_config(name, overrides)
    recipe, batch = build_recipe(cfg), simulated_batch(cfg, 1)
    recipe.model.eval()
    forward = count_gflop(lambda: recipe.model(batch))
    folded = fuse_for_inference(recipe.model) if maps else fuse_recipe(recipe)
    inference = partial(infer, folded, recipe, batch, VARIANT)
    optimizer = torch.optim.AdamW(recipe.model.parameters(), lr=1e-4, fused=True)
    return (
        Pass(count_gflop(inference), inference),
        Pass(3 * forward, lambda: train_step(recipe.model.train(), recipe, optimizer, batch, VARIANT)),
    )


@torch.inference_mode()
def count_gflop(call: Callable[[], object]) -> float:
    """GFLOP of the convolutions of a call."""
    pairs: list[float] = []
    with count_pairs(pairs), FlopCounterMode(display=False) as dense:
        call()
    convolutions = sum(count for op, count in dense.get_flop_counts()["Global"].items() if "conv" in str(op))
    return (convolutions + sum(pairs)) / 1e9


@contextmanager
def count_pairs(found: list[float]) -> Iterator[None]:
    """Note the arithmetic of every sparse convolution inside: a product of rows for each pair of its rulebook."""

    def count(compute: Callable[..., Any]) -> Callable[..., Any]:
        def call(features: torch.Tensor, weight: torch.Tensor, rulebook: Any, **more: Any) -> Any:
            found.append(2.0 * rulebook.start[-1] * weight.shape[0] * weight.shape[-1])
            return compute(features, weight, rulebook, **more)

        return call

    layers = (sparse_layers, "sparse_conv"), (folded_layers, "sparse_conv_relu")
    with ExitStack() as stack:
        for module, name in layers:
            stack.enter_context(patch.object(module, name, count(getattr(module, name))))
        yield


if __name__ == "__main__":
    main()
