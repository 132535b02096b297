"""Sizes and costs against the published counts and against sums made by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pcdet_poly.config.schema import Config
from pcdet_poly.models.summary.model_size import summarize
from tests.tolerances import FLOAT64_SUM

ROOT = Path(__file__).resolve().parents[2]


def dense_macs(cells: int = 468 * 468) -> int:
    """Multiplications of the published backbone and head, layer by layer."""
    stages = cells * 9 * 64 * 64 * 4
    stages += cells // 4 * 9 * (64 * 128 + 128 * 128 * 5)
    stages += cells // 16 * 9 * (128 * 256 + 256 * 256 * 5)
    ups = cells * 64 * 128 + cells // 4 * 4 * 128 * 128 + cells // 16 * 16 * 256 * 128
    head = cells * 9 * (384 * 64 + 5 * 64 * 64 + 64 * 11)
    return stages + ups + head


def test_published_detector():
    summary = summarize(Config())
    assert summary.parameters == {"encoder": 4_640, "backbone": 4_806_400, "head": 413_003}
    assert summary.total_parameters == 5_224_043
    assert summary.bev_cells == (468, 468)
    assert summary.dense_gflop == pytest.approx(2 * dense_macs() / 1e9, rel=FLOAT64_SUM)
    # Each convolution keeps its input and each norm its own: 64 channels in, then per layer of the
    # first stage 64 + 64, and so on.
    mebibyte = 468 * 468 * 4 / 2**20
    kept = 64 + 4 * 128 + (6 * 256) / 4 + (6 * 512) / 16 + 3 * 256 + 384 + 6 * 128
    assert summary.activation_mib == pytest.approx(kept * mebibyte, rel=0.01)


def test_command_prints_json():
    command = [sys.executable, "-m", "pcdet_poly.models.summary", "configs/quick.yaml", "--json", "data.workers=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["bev_cells"] == [240, 240]
