"""Sparse convolution against torch's dense one, and kernel maps by merging against binary search."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv3d

from pcdet_poly.errors import UserError
from pcdet_poly.ops.gpu import rulebook as searched
from pcdet_poly.ops.gpu import spconv_convolution
from pcdet_poly.ops.rulebook import Size3, build_strided_rulebook, build_submanifold_rulebook
from pcdet_poly.ops.sparse_conv import sparse_conv, sparse_to_bev
from pcdet_poly.structures import Sites, SparseTensor
from pcdet_poly.structures.rulebook import Rulebook
from tests.tolerances import NETWORK

ONE = (1, 1, 1)
SUBMANIFOLD: list[Size3] = [(3, 3, 3), (1, 3, 3), (3, 1, 1), (1, 1, 1), (5, 3, 1)]
STRIDED: list[tuple[Size3, Size3, Size3]] = [
    ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ((3, 3, 3), (2, 2, 2), (0, 1, 1)),
    ((3, 1, 1), (2, 1, 1), (0, 0, 0)),
    ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
    ((3, 3, 3), (1, 1, 1), (1, 1, 1)),
    ((2, 3, 1), (3, 4, 2), (1, 2, 0)),  # cells that no output reads
]


def random_sites(rng: np.random.Generator, count: int | None = None) -> Sites:
    """Cells of up to three frames, some of them empty, in a grid of a random shape."""
    shape, num_frames = tuple(int(n) for n in rng.integers(3, 9, 3)), int(rng.integers(1, 4))
    num_cells = num_frames * shape[0] * shape[1] * shape[2]
    cell = np.sort(rng.permutation(num_cells)[: rng.integers(0, num_cells) if count is None else count])
    if num_frames > 1 and rng.random() < 0.3:
        cell = cell[cell // (num_cells // num_frames) != rng.integers(0, num_frames)]
    return Sites(torch.from_numpy(cell), shape, num_frames)


def dense(features: Tensor, sites: Sites) -> Tensor:
    """(B, C, nz, ny, nx), zero elsewhere."""
    image = features.new_zeros(sites.num_frames, *sites.shape, features.shape[1])
    image[tuple(sites.coordinates().T)] = features
    return image.permute(0, 4, 1, 2, 3)


def at(image: Tensor, sites: Sites) -> Tensor:
    """Rows (V, C) of a dense image."""
    return image.permute(0, 2, 3, 4, 1)[tuple(sites.coordinates().T)]


def rulebooks_of(sites: Sites) -> tuple[Rulebook, Rulebook]:
    """Of a submanifold and of a strided convolution, both 3 x 3 x 3."""
    return build_submanifold_rulebook(sites, (3, 3, 3)), build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), ONE)


def random_weight(kernel: Size3) -> Tensor:
    return torch.randn(5, *kernel, 4, dtype=torch.float64)


def check(features: Tensor, weight: Tensor, rulebook: Rulebook, sites: Sites, stride: Size3, padding: Size3) -> None:
    """Values and both gradients are those of conv3d."""
    given = [tensor.requires_grad_() for tensor in (features, weight)]
    ours = sparse_conv(features, weight, rulebook)
    image = conv3d(dense(features, sites), weight.permute(0, 4, 1, 2, 3), stride=stride, padding=padding)
    assert ours.sites.shape == image.shape[2:]
    torch.testing.assert_close(ours.features, at(image, ours.sites))
    factor = torch.randn_like(ours.features)
    mine = torch.autograd.grad((ours.features * factor).sum(), given)
    theirs = torch.autograd.grad((at(image, ours.sites) * factor).sum(), given)
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("kernel", SUBMANIFOLD)
def test_submanifold_equals_dense(kernel: Size3) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        sites = random_sites(rng)
        features = torch.randn(len(sites), 4, dtype=torch.float64)
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        check(features, random_weight(kernel), build_submanifold_rulebook(sites, kernel), sites, ONE, padding)


@pytest.mark.parametrize(("kernel", "stride", "padding"), STRIDED)
def test_strided_equals_dense_on_the_cells_reached(kernel: Size3, stride: Size3, padding: Size3) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        sites = random_sites(rng)
        features = torch.randn(len(sites), 4, dtype=torch.float64)
        rulebook = build_strided_rulebook(sites, kernel, stride, padding)
        check(features, random_weight(kernel), rulebook, sites, stride, padding)
        ones = dense(torch.ones(len(sites), 1), sites)
        count = conv3d(ones, torch.ones(1, 1, *kernel), stride=stride, padding=padding)
        reached = (count[:, 0] > 0.5).flatten().nonzero()[:, 0]
        assert torch.equal(rulebook.sites.cell, reached)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [*((k, ONE, None) for k in SUBMANIFOLD), *STRIDED])
def test_merged_pairs_are_the_searched_ones(kernel: Size3, stride: Size3, padding: Size3 | None) -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        sites = random_sites(rng)
        if padding is None:
            rulebook, pad = build_submanifold_rulebook(sites, kernel), (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        else:
            rulebook, pad = build_strided_rulebook(sites, kernel, stride, padding), padding
            assert torch.equal(
                searched.find_reached_cells(sites, rulebook.sites.shape, kernel, stride, padding), rulebook.sites.cell
            )
        first, second, count = searched.build_kernel_map(sites, rulebook.sites, kernel, stride, pad, submanifold=False)
        assert torch.equal(first, rulebook.input)
        assert torch.equal(second, rulebook.output)
        assert np.diff(rulebook.start).tolist() == count.tolist()


def test_gradcheck() -> None:
    sites = random_sites(np.random.default_rng(3), 20)
    features = torch.randn(20, 3, dtype=torch.float64, requires_grad=True)
    for rulebook in (
        build_submanifold_rulebook(sites, (3, 3, 3)),
        build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ):
        weight = torch.randn(2, 3, 3, 3, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda f, w, r=rulebook: sparse_conv(f, w, r).features, (features, weight))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """spconv's CPU code is wrong with more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_equals_spconv() -> None:
    """With the same weights and pairs."""
    pytest.importorskip("spconv")
    rng = np.random.default_rng(6)
    for _ in range(10):
        sites = random_sites(rng, 60)
        features, weight = torch.randn(len(sites), 8), torch.randn(16, 3, 3, 3, 8)
        for rulebook in (
            build_submanifold_rulebook(sites, (3, 3, 3)),
            build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
        ):
            theirs = spconv_convolution.convolve_by_spconv(features, weight, rulebook)
            torch.testing.assert_close(theirs, sparse_conv(features, weight, rulebook).features, **NETWORK)


def test_a_cpu_never_runs_spconv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spconv_convolution, "convolve_by_spconv", None)
    sites = random_sites(np.random.default_rng(7), 30)
    rulebook = build_submanifold_rulebook(sites, (3, 3, 3))
    features, weight = torch.randn(len(sites), 4), torch.randn(5, 3, 3, 3, 4)
    ours, same = (sparse_conv(features, weight, rulebook, backend=backend).features for backend in ("torch", "spconv"))
    assert torch.equal(ours, same)


def test_spconv_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spconv.core", None)
    sites = random_sites(np.random.default_rng(8), 30)
    rulebook = build_submanifold_rulebook(sites, (3, 3, 3))
    with pytest.raises(UserError, match="spconv is not installed"):
        spconv_convolution.convolve_by_spconv(torch.randn(len(sites), 4), torch.randn(5, 3, 3, 3, 4), rulebook)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("backend", ["torch", "spconv"])
def test_equals_the_cpu_on_a_gpu(backend: Literal["torch", "spconv"]) -> None:
    if backend == "spconv":
        pytest.importorskip("spconv")
    sites = random_sites(np.random.default_rng(9), 60)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        given = [torch.randn(len(sites), 8), torch.randn(16, 3, 3, 3, 8)]
        given = [tensor.to(device).requires_grad_() for tensor in given]
        rulebook = build_strided_rulebook(sites.to(device), (3, 3, 3), (2, 2, 2), (1, 1, 1))
        result = sparse_conv(*given, rulebook, backend=backend)
        gradient = torch.autograd.grad(result.features.square().sum(), given)
        results.append([tensor.cpu() for tensor in (result.sites.cell, result.features, *gradient)])
    torch.testing.assert_close(results[1], results[0], atol=1e-3, rtol=1e-3)


def test_nothing() -> None:
    sites = Sites(torch.zeros(0, dtype=torch.int64), (3, 4, 5), 2)
    features = torch.zeros(0, 4, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, 4, requires_grad=True)
    for rulebook in (
        build_submanifold_rulebook(sites, (3, 3, 3)),
        build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ):
        result = sparse_conv(features, weight, rulebook)
        assert result.features.shape == (0, 5)
        gradient = torch.autograd.grad(result.features.sum(), [features, weight])
        assert [tuple(tensor.shape) for tensor in gradient] == [(0, 4), (5, 3, 3, 3, 4)]
        assert not gradient[1].any()
        assert not sparse_to_bev(result).any()


def test_same_bits_each_time() -> None:
    sites = random_sites(np.random.default_rng(4))
    features, weight = torch.randn(len(sites), 16), torch.randn(16, 3, 3, 3, 16)
    results = [sparse_conv(features, weight, build_submanifold_rulebook(sites, (3, 3, 3))).features for _ in range(5)]
    assert all(torch.equal(result, results[0]) for result in results)


@pytest.mark.parametrize("channels_last", [False, True])
def test_bird_eye_image(channels_last: bool) -> None:
    sites = random_sites(np.random.default_rng(5))
    features = torch.randn(len(sites), 3, requires_grad=True)
    image = sparse_to_bev(SparseTensor(features, sites), channels_last=channels_last)
    expected = dense(features, sites).flatten(1, 2)
    assert torch.equal(image, expected)
    assert image.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    factor = torch.randn_like(image)
    ours, theirs = (torch.autograd.grad((x * factor).sum(), features)[0] for x in (image, expected))
    assert torch.equal(ours, theirs)


def test_what_cannot_be_is_refused() -> None:
    sites = Sites(torch.tensor([3]), (2, 3, 4), 1)
    with pytest.raises(ValueError, match="odd sizes"):
        build_submanifold_rulebook(sites, (3, 2, 3))
    with pytest.raises(ValueError, match="smaller than the kernel"):
        build_strided_rulebook(sites, (3, 3, 3), (1, 1, 1), (3, 1, 1))
    with pytest.raises(ValueError, match="finds no place"):
        build_strided_rulebook(sites, (3, 3, 3), (1, 1, 1), (0, 0, 0))
    with pytest.raises(ValueError, match="2 rows of features for 1 cells"):
        SparseTensor(torch.zeros(2, 4), sites)
