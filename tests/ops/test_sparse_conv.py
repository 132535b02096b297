"""Sparse convolution against torch's dense one, and kernel maps by merging against binary search."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv3d

from pcdet_poly.errors import UserError
from pcdet_poly.ops import sparse_conv as entrance
from pcdet_poly.ops.arrays.register_tiles import UNIT
from pcdet_poly.ops.cpu import sparse_columns, sparse_tiles
from pcdet_poly.ops.cpu import sparse_conv as in_blocks
from pcdet_poly.ops.gpu import rulebook as searched
from pcdet_poly.ops.gpu import sparse_conv as by_element
from pcdet_poly.ops.gpu import spconv_convolution
from pcdet_poly.ops.rulebook import Size3, build_strided_rulebook, build_submanifold_rulebook
from pcdet_poly.ops.sparse_conv import Backend, sparse_conv, sparse_conv_relu, sparse_to_bev
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
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 cells, so that small grids have many, of which some lack some kernel elements."""
    monkeypatch.setattr(in_blocks, "NUMBERS_PER_BLOCK", 40)  # of 5 channels
    monkeypatch.setattr(sparse_columns, "CELLS_PER_BLOCK", 8)


def flat_rulebooks() -> Iterator[tuple[Sites, Rulebook, Size3]]:
    """In two dimensions, with strides: none, one and all cells active, three frames of which one is empty."""
    rng, shape = np.random.default_rng(10), (1, 9, 7)
    for cell in ([], [62], range(63), [*range(20, 40), 126, 130, 188], rng.permutation(189)[:90]):
        sites = Sites(torch.from_numpy(np.sort(np.array([*cell], np.int64))), shape, 3)
        yield sites, build_submanifold_rulebook(sites, (1, 3, 3)), ONE
        for step in (1, 2):
            stride = (1, step, step)
            yield sites, build_strided_rulebook(sites, (1, 3, 3), stride, (0, 1, 1)), stride


@pytest.mark.usefixtures("small_blocks")
def test_two_dimensions_in_blocks_equal_dense() -> None:
    for sites, rulebook, stride in flat_rulebooks():
        features = torch.randn(len(sites), 4, dtype=torch.float64)
        check(features, random_weight((1, 3, 3)), rulebook, sites, stride, (0, 1, 1))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("back_end", [in_blocks, by_element], ids=["cpu", "gpu"])
def test_bfloat16_rounds_no_more_than_its_parts(back_end: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 2 ** -7 of the sum of all terms' sizes: terms are products of what is given, exact in float32; each sum is
    rounded to bfloat16 (2 ** -8) at most twice, by element or block and at the end. A little more is float32's."""
    monkeypatch.setattr(entrance, "find_back_end", lambda file, tensor: back_end)
    for _, rulebook, _ in flat_rulebooks():
        given = [torch.randn(rulebook.num_inputs, 4).bfloat16(), torch.randn(5, 1, 3, 3, 4).bfloat16()]
        upstream = torch.randn(len(rulebook.sites), 5).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            found = value_and_gradients(given, upstream, rulebook)
        wanted = value_and_gradients([x.double() for x in given], upstream.double(), rulebook)
        sizes = value_and_gradients([x.double().abs() for x in given], upstream.double().abs(), rulebook)
        for ours, exact, size in zip(found, wanted, sizes, strict=True):
            assert ours.dtype == torch.bfloat16
            assert ((ours.double() - exact).abs() <= 1.01 * 2**-7 * size).all()


def value_and_gradients(given: list[Tensor], upstream: Tensor, rulebook: Rulebook) -> tuple[Tensor, Tensor, Tensor]:
    given = [x.clone().requires_grad_() for x in given]
    result = sparse_conv(*given, rulebook).features
    return (result.detach(), *torch.autograd.grad(result, given, upstream))


TILES = [(64, 16), (16, 32), (32, 64)]  # one, two and four registers a row, and tiles of fewer than six channels left


@pytest.mark.skipif(not UNIT.most_vectors, reason="needs AVX2")
@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("channels", "width"), TILES)
def test_tiles_round_no_more_than_sums_in_float32(
    channels: int, width: int, dtype: torch.dtype, num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a sum's terms is rounded at most as often as there are terms, by 2 ** -24 of all terms' sizes.

    Products of bfloat16 are exact in float32, and the sum is rounded once more at the end, by 2 ** -8.
    """
    if dtype == torch.bfloat16 and not UNIT.has_bfloat16:
        pytest.skip("needs AVX-512 with products of bfloat16")
    monkeypatch.setattr(sparse_tiles, "NUMBERS_PER_BLOCK", 10 * width)  # ten cells a block
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    for _, rulebook, _ in flat_rulebooks():
        given = [torch.randn(rulebook.num_inputs, channels), torch.randn(width, 1, 3, 3, channels)]
        given, upstream = [x.to(dtype) for x in given], torch.randn(len(rulebook.sites), width).to(dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            found = value_and_gradients(given, upstream, rulebook)
        wanted = value_and_gradients([x.double() for x in given], upstream.double(), rulebook)
        sizes = value_and_gradients([x.double().abs() for x in given], upstream.double().abs(), rulebook)
        most_terms = max(9 * channels, 9 * width, len(rulebook.sites)) + 1
        allowed = most_terms * 2**-24 + (2**-8 if dtype == torch.bfloat16 else 0)
        for ours, exact, size in zip(found, wanted, sizes, strict=True):
            assert ours.dtype == dtype
            assert ((ours.double() - exact).abs() <= allowed * size).all()


@pytest.mark.skipif(not UNIT.most_vectors, reason="needs AVX2")
def test_tiles_have_the_same_bits_with_any_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rulebook, _ = [*flat_rulebooks()][-3]
    given = [torch.randn(rulebook.num_inputs, 32), torch.randn(64, 1, 3, 3, 32)]
    upstream = torch.randn(len(rulebook.sites), 64)
    assert sparse_tiles.can_convolve(given[0], given[1].flatten(1, 3).permute(1, 2, 0))
    monkeypatch.setattr(sparse_tiles, "NUMBERS_PER_BLOCK", 10 * 64)
    results = []
    for num_threads in (1, 2, 9, 1):
        monkeypatch.setattr(torch, "get_num_threads", lambda number=num_threads: number)
        results.append(value_and_gradients(given, upstream, rulebook))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            in_half = sparse_conv(*given, rulebook).features
        # Sums of up to 9 x 32 products, of the order of 17; three roundings of at most 2 ** -8 each, four times over.
        torch.testing.assert_close(in_half.float(), results[-1][0], rtol=0, atol=4 * 3 * 17 * 2**-8)
    assert all(torch.equal(a, b) for result in results for a, b in zip(result, results[0], strict=True))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("channels", "width"), [(4, 5), *TILES])
@pytest.mark.parametrize("back_end", [in_blocks, by_element], ids=["cpu", "gpu"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_sum_and_relu_in_one_pass(
    dtype: torch.dtype, back_end: ModuleType, channels: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the roundings of a sum of as many terms; of bfloat16 each product of an element, each sum and each term
    added to it may be rounded, by 2 ** -8 of all terms' sizes."""
    monkeypatch.setattr(entrance, "find_back_end", lambda file, tensor: back_end)
    monkeypatch.setattr(sparse_tiles, "NUMBERS_PER_BLOCK", 10 * width)
    rounding = (9 * channels + 2) * torch.finfo(torch.float32 if dtype == torch.bfloat16 else dtype).eps
    allowed = rounding + (4 * 2**-8 if dtype == torch.bfloat16 else 0)
    for _, rulebook, _ in flat_rulebooks():
        features = torch.randn(rulebook.num_inputs, channels).to(dtype)
        weight, bias = torch.randn(width, 1, 3, 3, channels).to(dtype), torch.randn(width).to(dtype)
        residual = torch.randn(len(rulebook.sites), width).to(dtype)
        given = [x.double() for x in (features, weight)]
        exact = sparse_conv(*given, rulebook).features
        size = sparse_conv(*(x.abs() for x in given), rulebook).features + bias.double().abs()
        for added in (None, residual):
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                ours = sparse_conv_relu(features, weight, rulebook, bias=bias, residual=added).features
            more = 0 if added is None else added.double()
            wanted = (exact + bias.double() + more).relu()
            assert ours.dtype == dtype
            assert ((ours.double() - wanted).abs() <= allowed * (size + abs(more))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_no_number_stays_none_in_one_pass(dtype: torch.dtype) -> None:
    rulebook = build_submanifold_rulebook(Sites(torch.tensor([0, 30]), (1, 9, 7), 1), (1, 3, 3))
    features = torch.tensor([[torch.nan], [torch.inf]]).to(dtype) * torch.ones(1, 16, dtype=dtype)
    weight = torch.ones(32, 1, 3, 3, 16)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        result = sparse_conv_relu(features, weight, rulebook, bias=torch.zeros(32)).features
    assert result[0].isnan().all()
    assert (result[1] == torch.inf).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_autocast_leaves_parameters_and_their_gradients_float32(dtype: torch.dtype) -> None:
    """float16 is no arithmetic of a CPU: there the convolution stays float32."""
    sites = random_sites(np.random.default_rng(11), 40)
    features = torch.randn(40, 4, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16 if dtype == torch.bfloat16 else torch.float16):
        result = sparse_conv(features, weight, build_submanifold_rulebook(sites, (3, 3, 3))).features
    assert result.dtype == dtype
    for gradient in torch.autograd.grad(result.float().sum(), [features, weight]):
        assert gradient.dtype == torch.float32


def test_same_bits_each_time_in_bfloat16() -> None:
    _, rulebook, _ = [*flat_rulebooks()][-3]
    given = [torch.randn(rulebook.num_inputs, 16), torch.randn(16, 1, 3, 3, 16)]
    upstream = torch.randn(len(rulebook.sites), 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        results = [value_and_gradients(given, upstream, rulebook) for _ in range(5)]
    assert all(torch.equal(a, b) for result in results for a, b in zip(result, results[0], strict=True))


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


@pytest.fixture
def interpreted_spconv_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let spconv-triton's kernels run through Triton's interpreter: CPU tensors, one tile size and no device."""
    gemm = pytest.importorskip("spconv_triton.pytorch._impl.gemm")
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.interpreter import InterpretedFunction

    for kernel in vars(gemm).values():
        if isinstance(kernel, Autotuner):
            assert isinstance(kernel.fn, InterpretedFunction)
            monkeypatch.setattr(kernel, "configs", kernel.configs[:1])
    monkeypatch.setattr(gemm, "_multiprocessor_count", lambda device: 4)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)


@pytest.mark.usefixtures("interpreted_spconv_triton")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_equals_spconv_triton_with_gradients(dtype: torch.dtype) -> None:
    """Of the same rounded numbers; bfloat16 is more than Triton's interpreter can multiply."""
    sites = random_sites(np.random.default_rng(6), 60)
    drawn = [torch.randn(len(sites), 8).to(dtype), torch.randn(16, 3, 3, 3, 8).to(dtype)]
    for rulebook in (
        build_submanifold_rulebook(sites, (3, 3, 3)),
        build_strided_rulebook(sites, (3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ):
        given = [tensor.clone().requires_grad_() for tensor in drawn]
        result = spconv_convolution.convolve_by_spconv(*given, rulebook, "spconv_triton")
        assert result.dtype == dtype
        theirs = [result, *torch.autograd.grad(result.float().square().sum(), given)]
        given = [tensor.float().requires_grad_() for tensor in drawn]
        result = sparse_conv(*given, rulebook).features
        ours = [result, *torch.autograd.grad(result.square().sum(), given)]
        # Sums of up to 27 x 8 products of normal numbers: of the order of 15. Gradients of their squares sum up to
        # 27 x 16 products with 2 x 15: of the order of 600. Float16 rounds results, which go back, and gradients.
        rounding = 0.0 if dtype == torch.float32 else 2 * 2.0**-11
        for one, other, size in zip(ours, theirs, (15, 600, 600), strict=True):
            allowed = NETWORK["rtol"] + rounding
            torch.testing.assert_close(other.float(), one, rtol=allowed, atol=size * allowed)


def test_a_cpu_never_runs_spconv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spconv_convolution, "convolve_by_spconv", None)
    sites = random_sites(np.random.default_rng(7), 30)
    rulebook = build_submanifold_rulebook(sites, (3, 3, 3))
    features, weight = torch.randn(len(sites), 4), torch.randn(5, 3, 3, 3, 4)
    ours = sparse_conv(features, weight, rulebook).features
    assert torch.equal(ours, sparse_conv(features, weight, rulebook, backend="spconv").features)
    assert torch.equal(ours, sparse_conv(features, weight, rulebook, backend="spconv_triton").features)


@pytest.mark.parametrize("package", ["spconv", "spconv_triton"])
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, package: spconv_convolution.Package) -> None:
    monkeypatch.setitem(sys.modules, f"{package}.core", None)
    sites = random_sites(np.random.default_rng(8), 30)
    rulebook = build_submanifold_rulebook(sites, (3, 3, 3))
    with pytest.raises(UserError, match=f"{package.replace('_', '-')} is not installed"):
        spconv_convolution.convolve_by_spconv(torch.randn(len(sites), 4), torch.randn(5, 3, 3, 3, 4), rulebook, package)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("backend", ["torch", "spconv", "spconv_triton"])
def test_equals_the_cpu_on_a_gpu(backend: Backend) -> None:
    if backend != "torch":
        pytest.importorskip(backend)
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
    # Sums of 216 products that no norm brings to about 1: they are of the order of 15.
    torch.testing.assert_close(results[1], results[0], **{name: 15 * allowed for name, allowed in NETWORK.items()})


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
