"""Machine code: Triton's for GPUs that are not here, numba's loaded before it is needed, and in worker processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, **environment: str) -> str:
    """What a fresh Python prints."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    paths = os.pathsep.join([str(ROOT), environment.pop("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *command],
        env=inherited | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_triton_kernel_compiles_for_cuda_and_fuses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    script = str(Path(__file__).with_name("compile_for_cuda.py"))
    reports = [json.loads(line) for line in run(script, TRITON_CACHE_DIR=str(tmp_path)).splitlines()]
    sources = (ROOT / "pcdet_poly" / "ops" / "gpu").glob("*.py")
    launched = {name for source in sources for name in re.findall(r"(?<![\w.])(_\w+)\[", source.read_text())}
    for capability in (80, 90):
        assert {report["kernel"] for report in reports if report["capability"] == capability} == launched
    # The heatmap's exponential is CUDA's own. Everything else rounds after every operation, as the CPU does.
    assert {report["kernel"] for report in reports if report["fused"]} == {"_draw_peaks"}


def test_after_warm_up_nothing_is_left_to_compile() -> None:
    script = """
import numpy, torch
from pcdet_poly.ops.compiler.registry import select_kernels
from pcdet_poly.ops import warm_up, iou, nms, points_in_boxes, voxelize, scatter, heatmap
from pcdet_poly.structures import Grid

def compiled():
    return sum(len(kernel.signatures) for kernel in select_kernels("pcdet_poly"))

warm_up.warm_up()
before = compiled()
assert before > 10, before
points, frame, box = torch.rand(30, 8, dtype=torch.float64)[:, :4], torch.zeros(30, dtype=torch.int32), torch.rand(9, 7)
fine = Grid((0.0, 0.0, 0.0), (150.0, 150.0, 6.0), (0.1, 0.1, 0.15))
voxels = voxelize.voxelize(points, frame, fine, 2, max_points=3, sample="random", seed=9)
scatter.scatter_max(points.half(), voxels.voxel_of_point, len(voxels))
nms.nms_per_class(box, box[:, 0], torch.arange(9) % 2, (0.1, 0.2), frame=torch.arange(9))
iou.iou_3d(box.T.contiguous().T, box)
points_in_boxes.count_points(points, box)
heatmap.draw_heatmap(*torch.zeros(5, 3, dtype=torch.int32), (1, 1, 2, 2))
from pcdet_poly.ops.arrays.points_in_boxes import count_points
mapped = numpy.frombuffer(points.float().contiguous().numpy().tobytes(), numpy.float32).reshape(30, 4)
count_points(mapped, box.numpy())
assert compiled() == before, (compiled(), before)
print("nothing compiled")
"""
    assert run("-c", script) == "nothing compiled\n"


def test_after_warm_up_training_compiles_nothing(tmp_path: Path) -> None:
    """Neither reading with pasted objects and several sweeps nor a step of any detector."""
    script = str(Path(__file__).with_name("train_after_warm_up.py"))
    assert run(script, str(tmp_path)) == "nothing compiled\n"


class Clouds(Dataset[Tensor]):
    """Voxelizes in the worker."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        points = torch.rand(2000, 4, generator=torch.Generator().manual_seed(index))
        grid = Grid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.1, 0.1, 0.5))
        return voxelize(points, torch.zeros(2000, dtype=torch.int64), grid, 1).voxel_of_point


def test_works_in_forked_workers() -> None:
    expected = [Clouds()[index] for index in range(4)]  # kernels loaded before the fork, as by warm_up
    workers = DataLoader(Clouds(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert all(torch.equal(*pair) for pair in zip(workers, expected, strict=True))
