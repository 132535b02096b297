"""What the published ways of taking points cost: pillars hard or of any height, voxel means of the first points.

One simulated frame, points to features, and features with their gradients; ratios to the dynamic encoders. On a CPU the
times are those of the process, which other work on the machine does not lengthen as it does those of the clock.

python -m benchmarks.bench_encoders [--device cuda] [--threads N] [--json]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch

from benchmarks.bench_step import simulated_batch
from benchmarks.common import Row, main, together_cpu_ms, together_ms
from pcdet_poly.config.load import load_config
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.models.recipe import make_grid
from pcdet_poly.structures import Batch, Grid

ROUNDS = 51  # of all calls, on a CPU
MODES = {"dynamic": {}, "any height": {"any_height": True}, "hard, 20 rows": {"max_points": 20}}


def rows(device: str) -> Iterator[Row]:
    """Time every mode beside the dynamic one."""
    pillars, voxels = (load_config(f"configs/published/centerpoint_{kind}.yaml") for kind in ("pillar", "voxel"))
    batch = simulated_batch(pillars, 1).to(device)
    for training in (False, True):
        calls = {name: encode(batch, make_grid(pillars.grid), training, device, MODES[name]) for name in MODES}
        yield from beside_the_first(f"pillars, {'training' if training else 'evaluation'}", calls, device)
    grid, points = make_grid(voxels.grid), batch.points[:, :5].contiguous()
    caps = {"all points": None, "first 5 points": 5}
    means = {
        name: lambda cap=cap: average_points(points, batch.frame_of_point, grid, 1, max_points=cap)
        for name, cap in caps.items()
    }
    yield from beside_the_first("voxel means", means, device)


def encode(batch: Batch, grid: Grid, training: bool, device: str, mode: dict[str, int | bool]) -> Callable[[], object]:
    """Points to features; in training, and back to the weights."""
    encoder = PillarEncoder(5, (64, 64), **mode).to(device).train(training)
    points = batch.points[:, :5].contiguous()

    def call() -> None:
        with torch.set_grad_enabled(training):
            features = encoder(points, encoder.group_points(points, batch.frame_of_point, grid, 1))
        if training:
            features.sum().backward()

    return call


def beside_the_first(title: str, calls: dict[str, Callable[[], object]], device: str) -> Iterator[Row]:
    """A row for every call; ratios are medians over rounds in which all take turns."""
    each_call = list(calls.values())
    rounds = together_cpu_ms(each_call, ROUNDS) if device == "cpu" else together_ms(each_call, device)
    for k, name in enumerate(calls):
        ratio = statistics.median(each[k] / each[0] for each in rounds)
        yield Row(f"{title}: {name}", statistics.median(each[k] for each in rounds), f"{ratio:.2f} x the first")


if __name__ == "__main__":
    main(__doc__, rows)
