"""Layers over sorted pillars: every backend against loops in numpy float64, gradients against finite differences."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pcdet_poly.ops import pillars as ops
from pcdet_poly.ops.cpu import pillars as tiled
from pcdet_poly.ops.gpu import pillars as plain
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid
from pcdet_poly.structures.pillars import Pillars
from tests.tolerances import FLOAT32_ROUNDING, FLOAT64_SUM, NETWORK, float32_sum_error

ROOT = Path(__file__).resolve().parents[2]
GRID = Grid((0.0, 0.0, -2.0), (6.0, 4.0, 4.0), (1.0, 0.5, 6.0))


def pillars_of(counts: list[int]) -> Pillars:
    num_points = torch.tensor(counts, dtype=torch.int64)
    return Pillars(torch.nn.functional.pad(num_points.cumsum(0), (1, 0)), num_points)


# The CPU's kernels, and what other devices run.
backends = pytest.mark.parametrize("backend", [tiled, plain], ids=["tiled", "plain"])
tiles = pytest.mark.parametrize("tile", [1, 4, 8192])
COUNTS = [3, 1, 7, 2, 5, 1]  # 19 points
LARGEST = 9.0  # product of two normal numbers as they are drawn here
MEAN_M = float32_sum_error(10, 8.0) / 10  # a mean of up to ten coordinates below 8 m


def drawn(
    counts: list[int] = COUNTS, dtype: torch.dtype = torch.float32, *, depth: int = 3, width: int = 4
) -> tuple[torch.Tensor, ...]:
    """Inputs (K, depth), weight (width, depth), shift (V, width)."""
    generator = torch.Generator().manual_seed(len(counts))
    shapes = [(sum(counts), depth), (width, depth), (len(counts), width)]
    return tuple(torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)


@backends
@tiles
def test_linear_relu_pool_equals_loops(backend, tile, monkeypatch):
    monkeypatch.setattr(tiled, "TILE", tile)
    inputs, weight, shift = drawn()
    values, total, highest, outer = backend.linear_relu_pool(
        inputs, weight, shift, pillars_of(COUNTS), with_product=True
    )
    x, w, s = (tensor.double().numpy() for tensor in (inputs, weight, shift))
    row = 0
    for v, count in enumerate(COUNTS):
        expected = np.maximum([w @ x[row + k] + s[v] for k in range(count)], 0)
        np.testing.assert_allclose(values[row : row + count], expected, atol=float32_sum_error(4, LARGEST))
        np.testing.assert_allclose(total[v], expected.sum(0), atol=float32_sum_error(4 * count, LARGEST))
        np.testing.assert_allclose(highest[v], expected.max(0), atol=float32_sum_error(4, LARGEST))
        row += count
    assert outer.dtype == torch.float64
    products = float32_sum_error(len(values), values.abs().max().item() ** 2)
    np.testing.assert_allclose(outer, sum(np.outer(v, v) for v in values.double().numpy()), atol=products)


@backends
@tiles
def test_linear_max_equals_loops(backend, tile, monkeypatch):
    monkeypatch.setattr(tiled, "TILE", tile)
    inputs, weight, _ = drawn()
    highest = backend.linear_max(inputs, weight, pillars_of(COUNTS))
    outputs = inputs.double().numpy() @ weight.double().numpy().T
    expected = [part.max(0) for part in np.split(outputs, np.cumsum(COUNTS)[:-1])]
    np.testing.assert_allclose(highest, expected, atol=float32_sum_error(4, LARGEST))


@tiles
def test_gradients_equal_finite_differences(tile, monkeypatch):
    monkeypatch.setattr(tiled, "TILE", tile)
    inputs, weight, shift = (tensor.requires_grad_() for tensor in drawn(dtype=torch.float64))
    pillars = pillars_of(COUNTS)

    def both(inputs, weight, shift):
        values, *rest = ops.linear_relu_pool(inputs, weight, shift, pillars, with_product=True)
        return values, *rest, ops.linear_max(inputs, weight, pillars)

    assert torch.autograd.gradcheck(both, (inputs, weight, shift))


def test_backends_have_the_same_gradients():
    gradients = []
    for backend in (tiled, plain):
        tensors = tuple(tensor.requires_grad_() for tensor in drawn())
        outputs = backend.linear_relu_pool(*tensors, pillars_of(COUNTS), with_product=True)
        outputs += (backend.linear_max(*tensors[:2], pillars_of(COUNTS)),)
        loss = sum((output.square() * 0.1 + output).sum() for output in outputs)
        gradients.append(torch.autograd.grad(loss, tensors))
    for ours, other in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, other, **NETWORK)


SIZES = [(12, 8), (8, 16), (9, 20), (16, 48), (5, 1)]  # vectors of 8, 16, 8 with an overlap, 16, and single numbers


class PillarByPillar:
    """The two operations in torch's own, one pillar after the other."""

    @staticmethod
    def linear_relu_pool(inputs, weight, shift, pillars, *, with_product):
        assert with_product
        values = (inputs @ weight.T + shift.repeat_interleave(pillars.num_points, dim=0)).relu()
        parts = values.split(pillars.num_points.tolist())
        pools = (torch.stack([part.sum(0) for part in parts]), torch.stack([part.amax(0) for part in parts]))
        return values, *pools, values.T @ values

    @staticmethod
    def linear_max(inputs, weight, pillars):
        return torch.stack([part.amax(0) for part in (inputs @ weight.T).split(pillars.num_points.tolist())])


def compute_all(operations, tensors: tuple[torch.Tensor, ...], counts: list[int], wanted=(True, True, True)):
    """Results of both operations, one after the other and alone, and the gradients of a function of them all."""
    tensors = tuple(
        tensor.detach().requires_grad_(is_wanted) for tensor, is_wanted in zip(tensors, wanted, strict=True)
    )
    inputs, weight, shift = tensors
    pillars = pillars_of(counts)
    values, *pools = operations.linear_relu_pool(inputs, weight, shift, pillars, with_product=True)
    next_weight = weight.sum(1, keepdim=True) * torch.linspace(-1, 1, values.shape[1], dtype=values.dtype)
    highest = operations.linear_max(values, next_weight, pillars), operations.linear_max(inputs, weight, pillars)
    outputs = (values, *pools, *highest)
    loss = sum((output.square() * 0.1 + output).sum() for output in outputs)
    return *outputs, *torch.autograd.grad(loss, [tensor for tensor in tensors if tensor.requires_grad])


@tiles
@pytest.mark.parametrize(("depth", "width"), SIZES)
def test_vectors_of_every_size_give_what_torch_gives(tile, depth, width, monkeypatch):
    """In float64, where no two rows are so near to each other that rounding decides which is the maximum."""
    monkeypatch.setattr(tiled, "TILE", tile)
    counts = [3, 1, 7, 2, 5, 1, 4, 8, 17]
    tensors = drawn(counts, torch.float64, depth=depth, width=width)
    expected = compute_all(PillarByPillar, tensors, counts)
    for ours, other in zip(compute_all(tiled, tensors, counts), expected, strict=True):
        largest = float(other.detach().abs().max())
        torch.testing.assert_close(ours, other, rtol=FLOAT64_SUM, atol=FLOAT64_SUM * largest)


@pytest.mark.parametrize(("depth", "width"), SIZES)
def test_gradients_leave_out_inputs_that_want_none(depth, width):
    tensors = drawn(depth=depth, width=width)
    all_of_them = compute_all(tiled, tensors, COUNTS)[-2:]
    without_inputs = compute_all(tiled, tensors, COUNTS, wanted=(False, True, True))[-2:]
    assert all(torch.equal(*pair) for pair in zip(without_inputs, all_of_them, strict=True))


def test_views_are_taken_as_what_they_show():
    """Rows and columns of larger tensors, transposed weights, and gradients that one number stands for."""
    inputs, weight, shift = drawn(depth=8, width=16)
    wide = torch.randn(2 * len(inputs), 11)
    wide[::2, 1:9] = inputs
    views = (wide[::2, 1:9], weight.T.contiguous().T, shift.T.contiguous().T)
    assert not any(view.is_contiguous() for view in views)
    results = []
    for given in (views, (inputs, weight, shift)):
        given = tuple(tensor.detach().requires_grad_() for tensor in given)
        values, total, highest, _ = tiled.linear_relu_pool(*given, pillars_of(COUNTS), with_product=False)
        outputs = (values, total, highest, tiled.linear_max(*given[:2], pillars_of(COUNTS)))
        results.append((*outputs, *torch.autograd.grad(sum(each.sum() for each in outputs), given)))
    for ours, other in zip(*results, strict=True):
        torch.testing.assert_close(ours, other, **NETWORK)


def test_runs_where_nothing_is_compiled():
    """NUMBA_DISABLE_JIT, which debuggers and coverage need."""
    code = (
        "import torch; from tests.ops.test_pillars import *\n"
        "for size in SIZES:\n"
        "    tensors = drawn([3, 1, 5], torch.float64, depth=size[0], width=size[1])\n"
        "    ours, other = (compute_all(one, tensors, [3, 1, 5]) for one in (tiled, PillarByPillar))\n"
        "    torch.testing.assert_close(ours, other)\n"
    )
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@backends
def test_product_is_only_made_when_asked_for(backend):
    outer = backend.linear_relu_pool(*drawn(), pillars_of(COUNTS), with_product=False)[-1]
    assert torch.equal(outer, torch.zeros(4, 4, dtype=torch.float64))


@backends
def test_no_pillars(backend):
    inputs, weight, shift = (tensor.requires_grad_() for tensor in drawn([]))
    values, total, highest, outer = backend.linear_relu_pool(inputs, weight, shift, pillars_of([]), with_product=True)
    assert (values.shape, total.shape, highest.shape, outer.shape) == ((0, 4), (0, 4), (0, 4), (4, 4))
    most = backend.linear_max(inputs, weight, pillars_of([]))
    assert most.shape == (0, 4)
    (values.sum() + most.sum() + outer.sum()).backward()
    assert weight.grad.abs().sum() == 0


@backends
def test_not_a_number_is_passed_on(backend):
    inputs, weight, shift = drawn()
    inputs[4] = torch.nan
    values, total, highest, _ = backend.linear_relu_pool(inputs, weight, shift, pillars_of(COUNTS), with_product=False)
    most = backend.linear_max(inputs, weight, pillars_of(COUNTS))
    assert values[4].isnan().all()
    for pooled in (total, highest, most):
        assert pooled.isnan().any(dim=1).tolist() == [False, False, True, False, False, False]


def test_product_of_many_rows():
    values = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0)) + 30
    # Roundings of a tile's products are as good as independent, and tiles are added in float64.
    rtol = 2 * math.sqrt(tiled.TILE) * FLOAT32_ROUNDING
    for gram_matrix in (ops.gram_matrix, plain.gram_matrix):
        torch.testing.assert_close(gram_matrix(values), values.double().T @ values.double(), rtol=rtol, atol=0)


@pytest.mark.parametrize("count", [0, 1, 300])
def test_decoration_equals_loops(count):
    rng = np.random.default_rng(count)
    points = rng.uniform([-1, -1, -3, 0, 0], [7, 5, 5, 1, 1], (count, 5)).astype(np.float32)
    voxels = voxelize(torch.from_numpy(points), torch.from_numpy(np.sort(rng.integers(0, 3, count))), GRID, 4)
    decorated, pillars = ops.sort_and_decorate(torch.from_numpy(points), voxels)
    other = plain.decorate_points(torch.from_numpy(points), voxels.voxel_of_point, pillars, ops.voxel_centres(voxels))
    torch.testing.assert_close(decorated, other, atol=MEAN_M, rtol=0)
    expected = []
    for v, (_, z, y, x) in enumerate(voxels.coordinates().tolist()):
        inside = points[voxels.voxel_of_point.numpy() == v].astype(np.float64)
        centre = [x + 0.5, y * 0.5 + 0.25, z * 6 + 1]
        for point in inside:
            expected.append([*point, *(point[:3] - inside[:, :3].mean(0)), *(point[:3] - centre), 1])
    np.testing.assert_allclose(decorated, np.reshape(expected, (-1, 12)), atol=MEAN_M)
    assert pillars.start.tolist() == [0, *np.cumsum(voxels.num_points.numpy())]
