"""Training steps and inference of every detector at full size, in each arithmetic, compiled and not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from pcdet_poly.config.load import load_config
from pcdet_poly.config.schema import Config
from pcdet_poly.config.sections.train import Arithmetic
from pcdet_poly.engine.optim import build_optimizer
from pcdet_poly.engine.precision import autocast, build_scaler
from pcdet_poly.engine.state import build_seeded_recipe
from pcdet_poly.experiments.gpu_check.inputs import draw_batch
from pcdet_poly.experiments.gpu_check.place import Place
from pcdet_poly.models import Recipe
from pcdet_poly.models.fuse import fuse_for_inference, fuse_recipe
from pcdet_poly.structures import Batch

DETECTORS = ("centerpoint_pillar", "pointpillars", "pillarnext", "centerpoint_voxel", "rsn_vehicle_s")
_DRY_GRID = ("grid.lower=[-12.8,-12.8,-3]", "grid.upper=[12.8,12.8,5]")
_DRY_DETECTORS = {  # what stands for each detector in a dry run
    "centerpoint_pillar": ("slim", *_DRY_GRID),
    "pointpillars": ("slim_pointpillars", *_DRY_GRID),
    "pillarnext": ("slim_pillarnext", *_DRY_GRID),
    "centerpoint_voxel": (
        *("centerpoint_voxel", *_DRY_GRID, "grid.cell=[.4,.4,1]", "model.channels=[4,4]", "model.layers=[1,1]"),
        "model.backbone={layers: [1], strides: [1], channels: [8], up_strides: [1], up_channels: [8]}",
    ),
    "rsn_vehicle_s": ("slim_rsn", *_DRY_GRID),
}
LONG, SHORT = 200, 20  # training steps: in bf16, and in what else is measured
_WARM_UP = 3  # of the steps, whose time does not count
_FULL_POINTS, _DRY_POINTS = 180_000, 2_000


def list_variants(place: Place) -> list[tuple[Arithmetic, bool]]:
    """List the arithmetics that the device has, and whether the network is compiled, the usual one first."""
    kinds: list[Arithmetic] = ["bf16", False, "fp16"]
    possible = [kind for kind in kinds if not kind or place.can_compute_in(str(kind))]
    return [(kind, compiled) for compiled in (False, True) for kind in possible]


def train_detector(name: str, kind: Arithmetic, compiled: bool, place: Place) -> dict[str, Any]:
    """Train a detector on one batch.

    Args:
        name: one of DETECTORS.
        kind: arithmetic of the forward pass.
        compiled: whether the network is compiled.
        place: where.

    Returns:
        Steps taken, milliseconds of a step, first and last loss, peak memory in GB, and what is wrong with the losses.
    """
    cfg, batch, recipe = _prepare(name, place)
    device = torch.device(place.device)
    place.start_memory_count()
    network = _compile(recipe.model.train(), compiled, place)
    optimizer, scaler = build_optimizer(recipe.model, cfg.train), build_scaler(device, kind)
    num_steps = 2 if place.is_dry else (LONG if kind == "bf16" and not compiled else SHORT)
    losses, begin_s = [], time.perf_counter()
    for step in range(num_steps):
        if step == min(_WARM_UP, num_steps - 1):
            place.wait()
            begin_s = time.perf_counter()
        optimizer.zero_grad()
        with autocast(device, kind):
            maps = network(batch)
        total = recipe.criterion(maps, recipe.assign(batch), progress=step / num_steps).total
        scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(recipe.model.parameters(), cfg.train.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        losses.append(total.detach())
    place.wait()
    taken = num_steps - min(_WARM_UP, num_steps - 1)
    ms = 1e3 * (time.perf_counter() - begin_s) / taken
    first, last = float(losses[0]), float(torch.stack(losses[-10:]).mean())
    fault = describe_fault(num_steps, first, last)
    gb = place.read_peak_memory_gb()
    return {"steps": num_steps, "ms": ms, "first": first, "last": last, "gb": gb, "fault": fault}


def run_detector(name: str, kind: Arithmetic, compiled: bool, place: Place) -> dict[str, Any]:
    """Detect in one full frame, as `Detector` does; a compiled network computes the boxes of all cells.

    Args:
        name: one of DETECTORS.
        kind: arithmetic of the network.
        compiled: whether the network is compiled.
        place: where.

    Returns:
        Milliseconds from points to boxes, those of the network alone, peak memory in GB.
    """
    _, batch, recipe = _prepare(name, place, num_frames=1)
    device = torch.device(place.device)
    place.start_memory_count()
    network = _compile(fuse_for_inference(recipe.model) if compiled else fuse_recipe(recipe), compiled, place)

    @torch.no_grad()
    def compute_maps() -> Any:
        with autocast(device, kind):
            return network(batch)

    network_ms = place.measure_ms(compute_maps)
    ms = place.measure_ms(lambda: recipe.decode(compute_maps()))
    return {"ms": ms, "network_ms": network_ms, "gb": place.read_peak_memory_gb()}


def describe_fault(steps: int, first: float, last: float) -> str | None:
    """Say what is wrong with a training: a loss that is no number, or that 200 steps on one batch did not lower.

    Args:
        steps: that were taken.
        first: loss.
        last: loss.
    """
    if not math.isfinite(last):
        return f"loss {last}"
    if steps >= LONG and last >= first:
        return f"loss {first:.2f} to {last:.2f} in {steps} steps"
    return None


def _prepare(name: str, place: Place, num_frames: int = 2) -> tuple[Config, Batch, Recipe]:
    config, *overrides = _DRY_DETECTORS[name] if place.is_dry else (name,)
    cfg = load_config(config, overrides)
    device = torch.device(place.device)
    batch = draw_batch(cfg, _DRY_POINTS if place.is_dry else _FULL_POINTS, num_frames).to(device)
    return cfg, batch, build_seeded_recipe(cfg, device)


def _compile(network: torch.nn.Module, compiled: bool, place: Place) -> Callable[[Batch], Any]:
    """Compile the network; in a dry run it is traced, which takes most of the ways to fail, and run as it is."""
    if not compiled:
        return network
    torch.compiler.reset()  # what was compiled for others holds memory
    return torch.compile(network, backend="eager" if place.is_dry else "inductor")
