"""Sparse convolution as CenterPoint and PillarNeXt have it: rulebook, layers, backbones; ours, dense and spconv's.

python -m benchmarks.bench_sparse_conv [--device cuda] [--threads N] [--json]

One frame of 180,000 points in voxels of .1 x .1 x .15 m, and in pillars of .075 m. Dense is torch's conv3d on a
crop, and what the same would take on the whole grid. spconv's CPU code is wrong with more than one thread and cannot
go backward, so its rows are forward on one thread, with the pairs found beforehand as for ours. The rows of a layer
take turns, by CPU time where it is one, and a forward and backward pass counts as three forward ones.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.bench_voxelize import FINE, draw_cloud
from benchmarks.common import Row, main, median_ms, together_cpu_ms
from pcdet_poly.config.sections.backbone import SparseBackboneConfig
from pcdet_poly.config.sections.centerpoint import CenterPointVoxelConfig
from pcdet_poly.models.layers.pillarnext.sparse_backbone import SparsePillarBackbone
from pcdet_poly.models.layers.voxel_backbone import VoxelBackbone
from pcdet_poly.models.layers.voxel_means import average_points
from pcdet_poly.ops.gpu.spconv_convolution import convolve_by_spconv
from pcdet_poly.ops.rulebook import build_strided_rulebook, build_submanifold_rulebook
from pcdet_poly.ops.sparse_conv import sparse_conv
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid, Sites, SparseTensor
from pcdet_poly.structures.rulebook import Rulebook

KERNEL, HALF, SAME = (3, 3, 3), (2, 2, 2), (1, 1, 1)
PLAIN = CenterPointVoxelConfig()
RESIDUAL = CenterPointVoxelConfig(residual=True, channels=(16, 32, 64, 128), layers=(2, 2, 2, 2))
FLAT = (1, 3, 3)
PILLARS = Grid((-76.8, -76.8, -10.0), (76.8, 76.8, 10.0), (0.075, 0.075, 20.0))
CROP = (41, 128, 128)  # cells of the dense convolution


def rows(device: str) -> Iterator[Row]:
    """Voxels, then each stage's rulebook and layers, then whole networks."""
    points = draw_cloud(device)
    frame = torch.zeros(len(points), dtype=torch.int64, device=device)
    voxels = average_points(points, frame, FINE, 1)
    yield Row("mean of points", median_ms(lambda: average_points(points, frame, FINE, 1), device))
    sites = voxels.sites
    for channels, width, padding in ((16, 16, None), (16, 32, SAME), (32, 64, SAME), (64, 128, (0, 1, 1))):
        if padding is not None:
            make = _prepare_strided_rulebook(sites, padding)
            rulebook = make()
            yield Row(
                f"rulebook of a strided layer, {len(sites)} -> {len(rulebook.sites)} cells", median_ms(make, device)
            )
            yield from measure_layer(f"strided {channels} -> {width}", rulebook, channels, width, device)
            sites = rulebook.sites
        rulebook = build_submanifold_rulebook(sites, KERNEL)
        find = median_ms(lambda sites=sites: build_submanifold_rulebook(sites, KERNEL), device)
        yield Row(f"rulebook of a submanifold layer, {len(sites)} cells", find, f"{len(rulebook.input)} pairs")
        yield from measure_layer(f"submanifold {width} -> {width}", rulebook, width, width, device)
    yield from measure_dense(voxels.sites, device)
    for name, cfg in (("plain", PLAIN), ("residual", RESIDUAL)):
        network = VoxelBackbone(voxels.features.shape[1], cfg)
        yield from measure_network(f"whole {name} backbone", network, voxels, device)
    yield from measure_pillars(points, device)


def measure_pillars(points: Tensor, device: str) -> Iterator[Row]:
    """PillarNeXt's stages: the rulebooks and layers of each, then all of them."""
    cfg = SparseBackboneConfig()
    voxels = voxelize(points, torch.zeros(len(points), dtype=torch.int64, device=device), PILLARS, 1, any_height=True)
    sites = Sites(voxels.cell, (1, *PILLARS.shape[1::-1]), 1)
    pillars = SparseTensor(torch.rand(len(sites), cfg.channels[0], device=device), sites)
    for channels, width, stride in zip((cfg.channels[0], *cfg.channels), cfg.channels, cfg.strides, strict=False):
        make = partial(build_strided_rulebook, sites, FLAT, (1, stride, stride), (0, 1, 1))
        rulebook = make()
        size = f"{len(sites)} -> {len(rulebook.sites)} cells"
        yield Row(f"pillars, rulebook of stride {stride}, {size}", median_ms(make, device))
        yield from measure_layer(f"pillars, stride {stride}, {channels} -> {width}", rulebook, channels, width, device)
        sites = rulebook.sites
        make = partial(build_submanifold_rulebook, sites, FLAT)
        rulebook = make()
        yield Row(f"pillars, rulebook of a submanifold layer, {len(sites)} cells", median_ms(make, device))
        yield from measure_layer(f"pillars, submanifold {width} -> {width}", rulebook, width, width, device)
    network = SparsePillarBackbone(cfg.channels[0], cfg)
    yield from measure_network("pillars, whole sparse backbone", network, pillars, device)


def measure_layer(name: str, rulebook: Rulebook, channels: int, width: int, device: str) -> Iterator[Row]:
    """Forward, and forward and backward, in float32 and bfloat16, beside spconv's forward; on a CPU they take turns."""
    features = torch.randn(rulebook.num_inputs, channels, device=device, requires_grad=True)
    weight = torch.randn(width, *rulebook.kernel, channels, device=device, requires_grad=True)
    gflop = 2e-9 * len(rulebook.input) * channels * width
    calls = {
        f"ours, {kind}{', forward and backward' * backward}": partial(
            convolve, features, weight, rulebook, is_half=kind == "bfloat16", backward=backward
        )
        for kind in ("float32", "bfloat16")
        for backward in (False, True)
    }
    if peer := _prepare_spconv(features.detach(), weight.detach(), rulebook):
        torch.testing.assert_close(peer(), sparse_conv(features, weight, rulebook).features, atol=1e-3, rtol=1e-3)
        calls["spconv"] = peer
    if device == "cpu":
        times = [statistics.median(turns) for turns in zip(*together_cpu_ms([*calls.values()], 5), strict=True)]
    else:
        times = [median_ms(call, device) for call in calls.values()]
    for what, ms in zip(calls, times, strict=True):
        passes = 3 if "backward" in what else 1
        note = f"{1e3 * passes * gflop / ms:.0f} GFLOP/s"
        if peer:
            note += f", {passes * times[-1] / ms:.2f} x spconv's forward"
        yield Row(f"{name}: {what}", ms, note)


def convolve(features: Tensor, weight: Tensor, rulebook: Rulebook, *, is_half: bool, backward: bool) -> None:
    """Convolve as inside a network, where features of a bfloat16 layer come in bfloat16."""
    device = features.device.type
    given = features.detach().to(torch.bfloat16 if is_half else torch.float32).requires_grad_(backward)
    with torch.autocast(device, torch.bfloat16, enabled=is_half), torch.set_grad_enabled(backward):
        result = sparse_conv(given, weight, rulebook).features
    if backward:
        torch.autograd.grad(result, [given, weight], torch.ones_like(result))


def measure_dense(sites: Sites, device: str) -> Iterator[Row]:
    """The first layer as a dense convolution."""
    image = torch.zeros(1, 16, *CROP, device=device)
    weight = torch.randn(16, 16, *KERNEL, device=device)
    ms = median_ms(lambda: torch.nn.functional.conv3d(image, weight, padding=1), device)
    share = image[0, 0].numel() / (sites.shape[0] * sites.shape[1] * sites.shape[2])
    yield Row("submanifold 16 -> 16: dense conv3d on a crop", ms, f"{' x '.join(map(str, CROP))} cells")
    yield Row("submanifold 16 -> 16: dense conv3d on all cells", ms / share, "calculated from the crop")


def measure_network(name: str, network: torch.nn.Module, voxels: SparseTensor, device: str) -> Iterator[Row]:
    """Inference, and a step of training, voxels or pillars to image, rulebooks included."""
    network.to(device).eval()
    with torch.no_grad():
        yield Row(f"{name}, inference", median_ms(lambda: network(voxels, channels_last=True), device))
    network.train()
    step = lambda: network(voxels, channels_last=True).sum().backward()  # noqa: E731
    yield Row(f"{name}, forward and backward", median_ms(step, device))


def _prepare_strided_rulebook(sites: Sites, padding: tuple[int, int, int]) -> Callable[[], Rulebook]:
    return lambda: build_strided_rulebook(sites, KERNEL, HALF, padding)


def _prepare_spconv(features: Tensor, weight: Tensor, rulebook: Rulebook) -> Callable[[], Tensor] | None:
    """spconv's convolution with our pairs, in its layout; None where it is not installed or would be wrong."""
    if features.device.type == "cpu" and torch.get_num_threads() > 1:
        return None
    if importlib.util.find_spec("spconv") is None:
        return None
    return lambda: convolve_by_spconv(features, weight, rulebook)


if __name__ == "__main__":
    main(__doc__, rows)
