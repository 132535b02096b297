"""Full-size operations on a CUDA device: the CPU's results to the bit, run after run, without waiting."""

from __future__ import annotations

import pytest
import torch

from benchmarks.bench_voxelize import FINE, PILLARS, draw_cloud, prepare_without_wait
from pcdet_poly.structures import Grid
from tests.ops.device_cases import CASES, same

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device; Triton's interpreter runs small cases"),
]


@pytest.mark.parametrize("name", CASES)
def test_equals_the_cpu(name: str) -> None:
    assert same(CASES[name]("cuda"), CASES[name]("cpu"))


@pytest.mark.parametrize("name", CASES)
def test_is_deterministic(name: str) -> None:
    first = CASES[name]("cuda")
    assert all(same(CASES[name]("cuda"), first) for _ in range(3))


@pytest.mark.parametrize("grid", [PILLARS, FINE], ids=["pillars", "fine"])
def test_voxelization_waits_only_for_the_number_of_cells(grid: Grid) -> None:
    points = draw_cloud("cuda")
    start = prepare_without_wait(points, torch.zeros(len(points), dtype=torch.int64, device="cuda"), grid)
    start()
    torch.cuda.set_sync_debug_mode("error")
    try:
        start()
    finally:
        torch.cuda.set_sync_debug_mode("default")
