"""Inference from points to boxes, and a training step, of one detector run in several ways on the CPU.

    python -m benchmarks.bench_step [CONFIG] [--batch N] [--threads N] [--repeat N] [--compile] [key=value ...]
    python -m benchmarks.bench_step [CONFIG] --encoders [--threads N] [--repeat N] [key=value ...]

Frames are simulated at Waymo's full sensor size; the default config is the published CenterPoint-pillar.
Every variant runs in a process of its own, which gives its peak memory. Prints a Markdown table of
medians; ratios are to the first row, the network as public suites run it: float32, contiguous, one
module after the other. The ONNX row has our voxelization and decoding around onnxruntime.

With --encoders the rows are the ways of taking points, in one process where all take turns, in bfloat16. Times are the
process's own, which other work on the machine hardly lengthens, and ratios medians over the turns.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.common import together_cpu_ms
from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.data.load.collate import collate
from pcdet_poly.malloc import keep_all_freed_memory
from pcdet_poly.models import Recipe, build_recipe
from pcdet_poly.models.export import export_onnx
from pcdet_poly.models.export.compare_onnx import make_inputs
from pcdet_poly.models.fuse import fuse_for_inference
from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.models.pillar_detector import PillarDetector
from pcdet_poly.ops.pillars import voxel_centres
from pcdet_poly.ops.scatter import scatter_max, scatter_mean
from pcdet_poly.simulation.segment import simulate_segment
from pcdet_poly.structures import Batch, CenterMaps, Voxels
from pcdet_poly.waymo.decode import convert_scan


@dataclass(frozen=True)
class Variant:
    """One way of running the network."""

    name: str
    channels_last: bool = True
    bfloat16: bool = True
    compiled: bool = False
    plain_encoder: bool = False  # a module per layer, as public suites have it
    folded: bool = False  # batch norms folded: no training
    onnx: bool = False  # the exported network in onnxruntime: no training


VARIANTS = (
    Variant("float32, contiguous, plain encoder", channels_last=False, bfloat16=False, plain_encoder=True),
    Variant("float32, contiguous", channels_last=False, bfloat16=False),
    Variant("float32, channels last", bfloat16=False),
    Variant("bfloat16, channels last"),
    Variant("bfloat16, channels last, norms folded", folded=True),
    Variant("float32, ONNX in onnxruntime, norms folded", bfloat16=False, folded=True, onnx=True),
    Variant("bfloat16, channels last, compiled", compiled=True),
)

ENCODERS = {
    "dynamic": ["model.encoder=dynamic"],
    "dynamic, any height": ["model.encoder=dynamic_any_height"],
    "hard, 20 rows": ["model.encoder=hard", "model.max_points=20"],
}


@dataclass(frozen=True)
class Job:
    """What a process needs to measure one variant."""

    variant: Variant
    cfg: Config
    batch: int
    threads: int
    repeat: int


@dataclass(frozen=True)
class Measured:
    """Median seconds, and peak memory of the process."""

    inference_s: float
    training_s: float | None
    inference_mib: float
    training_mib: float


class PlainEncoder(PillarEncoder):
    """The same layers one by one: offsets, linear, batch norm, ReLU, maximum, each a pass over all points."""

    def forward(self, points: Tensor, voxels: Voxels) -> Tensor:
        inside = voxels.voxel_of_point >= 0
        points, pillar = points[inside], voxels.voxel_of_point[inside]
        xyz, mean = points[:, :3], scatter_mean(points[:, :3], pillar, len(voxels))
        features = torch.cat([points, xyz - mean[pillar], xyz - voxel_centres(voxels)[pillar]], dim=1)
        for layer in self.layers:
            values = layer.norm(layer.linear(features)).relu()
            highest = scatter_max(values, pillar, len(voxels))
            features = torch.cat([values, highest[pillar]], dim=1)
        return highest


class OnnxNetwork(nn.Module):
    """`model` as an ONNX file in onnxruntime, with the same inputs and outputs."""

    def __init__(self, model: PillarDetector, batch: Batch, threads: int) -> None:
        super().__init__()
        import onnxruntime

        with torch.no_grad():
            self.maps = type(model(batch))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            self.names = export_onnx(model, path)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.model = model

    def forward(self, batch: Batch) -> CenterMaps:
        """Maps of a batch of one frame."""
        maps = self.session.run(None, make_inputs(batch, self.model))
        return self.maps(**{name: torch.from_numpy(image) for name, image in zip(self.names, maps, strict=True)})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="configs/centerpoint_pillar.yaml")
    parser.add_argument("overrides", metavar="key=value", nargs="*")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes")
    parser.add_argument("--encoders", action="store_true", help="compare the ways of taking points instead")
    keep_all_freed_memory()  # as commands do
    given = parser.parse_intermixed_args()
    if given.encoders:
        compare_encoders(given)
        return
    cfg = load_config(given.config, given.overrides)
    print(f"{given.config}: {given.batch} frame(s), {given.threads} thread(s), torch {torch.__version__}\n")
    print("| variant | inference ms | faster | training step ms | faster | inference MiB | training MiB |")
    print("|---|---|---|---|---|---|---|")
    first = None
    for variant in VARIANTS:
        if variant.compiled and not given.compile:
            continue
        is_dense = cfg.model.kind in ("centerpoint_pillar", "pointpillars") and not getattr(cfg.model, "sparse", None)
        if variant.onnx and (given.batch > 1 or not is_dense):
            print(f"| {variant.name} | not exportable: one frame of a detector on dense pillars only | | | | | |")
            continue
        measured = in_own_process(Job(variant, cfg, given.batch, given.threads, given.repeat))
        first = first or measured
        print(row(variant, measured, first), flush=True)


def compare_encoders(given: argparse.Namespace) -> None:
    """Print what inference and a training step cost with each encoder, beside the first."""
    torch.set_num_threads(given.threads)
    cfgs = [load_config(given.config, [*given.overrides, *mode]) for mode in ENCODERS.values()]
    batch = simulated_batch(cfgs[0], given.batch)
    steps = [make_steps(cfg, batch) for cfg in cfgs]
    print(f"{given.config}: {given.batch} frame(s), {given.threads} thread(s), {given.repeat} rounds\n")
    print(
        "| encoder | inference, CPU ms | to the first | training step, CPU ms | to the first |\n|---|---|---|---|---|"
    )
    rounds = [together_cpu_ms(calls, given.repeat) for calls in zip(*steps, strict=True)]
    for k, name in enumerate(ENCODERS):
        columns = [(median(each[k] for each in r), median(each[k] / each[0] for each in r)) for r in rounds]
        print(f"| {name} | " + " | ".join(f"{ms:.0f} | {ratio:.3f} x" for ms, ratio in columns) + " |", flush=True)


def make_steps(cfg: Config, batch: Batch) -> tuple[Callable[[], None], Callable[[], None]]:
    """Inference and a training step of one detector, in bfloat16."""
    torch.manual_seed(0)
    recipe, variant = build_recipe(cfg), Variant("bfloat16, channels last")
    optimizer = torch.optim.AdamW(recipe.model.parameters(), lr=1e-4, fused=True)
    return (
        lambda: infer(recipe.model.eval(), recipe, batch, variant),
        lambda: train_step(recipe.model.train(), recipe, optimizer, batch, variant),
    )


def row(variant: Variant, measured: Measured, first: Measured) -> str:
    """One line of the table."""
    inference = f"{measured.inference_s * 1e3:.0f} | {first.inference_s / measured.inference_s:.2f} x"
    if measured.training_s is None or first.training_s is None:
        return f"| {variant.name} | {inference} | - | - | {measured.inference_mib:.0f} | - |"
    training = f"{measured.training_s * 1e3:.0f} | {first.training_s / measured.training_s:.2f} x"
    memory = f"{measured.inference_mib:.0f} | {measured.training_mib:.0f}"
    return f"| {variant.name} | {inference} | {training} | {memory} |"


def in_own_process(job: Job) -> Measured:
    """`measure(job)`, in a process that has done nothing before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, job).result()


def measure(job: Job) -> Measured:
    """Time one variant, inference first so that its peak memory shows."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    cfg, variant = job.cfg, job.variant
    train = cfg.train.model_copy(update={"channels_last": variant.channels_last})
    recipe = build_recipe(cfg.model_copy(update={"train": train}))
    if variant.plain_encoder:
        recipe.model.encoder.__class__ = PlainEncoder
    batch = simulated_batch(cfg, job.batch)
    network = torch.compile(recipe.model) if variant.compiled else recipe.model
    if variant.onnx:
        network = OnnxNetwork(cast(PillarDetector, recipe.model.eval()), batch, job.threads)
        inference_s = median_seconds(lambda: infer(network, recipe, batch, variant), job.repeat)
        return Measured(inference_s, None, peak_mib(), peak_mib())
    still = fuse_for_inference(recipe.model) if variant.folded else network
    still.eval()
    inference_s = median_seconds(lambda: infer(still, recipe, batch, variant), job.repeat)
    inference_mib = peak_mib()
    if variant.folded:
        return Measured(inference_s, None, inference_mib, inference_mib)
    optimizer = torch.optim.AdamW(recipe.model.parameters(), lr=1e-4, fused=True)
    network.train()
    training_s = median_seconds(lambda: train_step(network, recipe, optimizer, batch, variant), job.repeat)
    return Measured(inference_s, training_s, inference_mib, peak_mib())


def simulated_batch(cfg: Config, num_frames: int) -> Batch:
    """Frames of one simulated segment, points in scan order."""
    frames = [convert_scan(scan) for scan in simulate_segment(seed=0, num_frames=num_frames)]
    return collate(frames, cfg.data.classes)


def forward(network: nn.Module, batch: Batch, variant: Variant) -> CenterMaps:
    """Maps of a batch."""
    with torch.autocast("cpu", torch.bfloat16, enabled=variant.bfloat16):
        maps: CenterMaps = network(batch)
    return maps


@torch.inference_mode()
def infer(network: nn.Module, recipe: Recipe, batch: Batch, variant: Variant) -> None:
    """Points to boxes."""
    recipe.decode(forward(network, batch, variant))


def train_step(
    network: nn.Module, recipe: Recipe, optimizer: torch.optim.Optimizer, batch: Batch, variant: Variant
) -> None:
    """Forward, targets, losses, backward, clipping, update."""
    losses = recipe.criterion(forward(network, batch, variant), recipe.assign(batch))
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    nn.utils.clip_grad_norm_(recipe.model.parameters(), 10.0)
    optimizer.step()


def median_seconds(step: Callable[[], None], repeat: int) -> float:
    """Median time of a call, the first one left out."""
    step()
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
