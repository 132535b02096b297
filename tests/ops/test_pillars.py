"""Layers over sorted pillars: every backend against loops in numpy float64, gradients against finite differences."""

import math

import numpy as np
import pytest
import torch

from pcdet_poly.ops import pillars as ops
from pcdet_poly.ops.cpu import pillars as tiled
from pcdet_poly.ops.gpu import pillars as plain
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid
from pcdet_poly.structures.pillars import Pillars
from tests.tolerances import FLOAT32_ROUNDING, NETWORK, float32_sum_error

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


def drawn(counts: list[int] = COUNTS, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    """Inputs (K, 3), weight (4, 3), shift (V, 4)."""
    generator = torch.Generator().manual_seed(len(counts))
    shapes = [(sum(counts), 3), (4, 3), (len(counts), 4)]
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
