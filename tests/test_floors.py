"""The import rule holds in the package, and its checker sees every way around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.floors import FLOORS, find_violations

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pcdet_poly"


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every Python file of the package, by its path below the package."""
    return {str(file.relative_to(PACKAGE)): file.read_text() for file in sorted(PACKAGE.rglob("*.py"))}


def test_every_package_stands_on_a_floor(sources: dict[str, str]) -> None:
    packages = {file.split("/")[0].removesuffix(".py") for file in sources} - {"__init__", "__main__"}
    assert packages == set(FLOORS)


def test_imports_go_down_only(sources: dict[str, str]) -> None:
    assert find_violations(sources) == []


@pytest.mark.parametrize(
    ("file", "planted", "words"),
    [
        ("ops/iou.py", "from pcdet_poly.waymo import tfrecord", "floor"),
        ("losses/sigmoid_focal.py", "def f():\n    import pcdet_poly.targets.center_assigner", "floor"),
        ("models/recipe.py", "from pcdet_poly.data.store.frame_store import FrameStore", "floor"),
        ("config/load.py", "from pcdet_poly import structures", "floor"),
        ("waymo/decode.py", "import tensorflow as tf", "whose home"),
        ("models/layers/center_head.py", "import spconv.pytorch", "whose home"),
        ("data/load/collate.py", "from . import augment", "relative"),
        (
            "losses/sigmoid_focal.py",
            "from importlib import import_module\nimport_module('pcdet_poly.engine.train')",
            "floor",
        ),
        ("losses/sigmoid_focal.py", "import importlib\nNAME = 'x'\nimportlib.import_module(NAME)", "only running it"),
        ("losses/sigmoid_focal.py", "__import__('pcdet_poly.engine.train')", "floor"),
        ("losses/sigmoid_focal.py", "import pcdet_poly as p\np.Detector", "itself"),
        ("losses/sigmoid_focal.py", "from pcdet_poly import Detector", "itself"),
        ("losses/sigmoid_focal.py", "import matplotlib.pyplot as plt", "training loads it"),
        ("structures/frame.py", "class A:\n    import pyarrow", "training loads it"),
        ("models/recipe.py", "def f():\n    import ray", "whose home"),
        ("errors.py", "def f():\n    from pcdet_poly.workers import run_jobs", "circle of modules"),
        ("waymo/scan.py", "def f():\n    from pcdet_poly.waymo.decode import decode_frame", "circle of modules"),
        ("data/store/manifest.py", "from pcdet_poly.data.convert.build_store import build_store", "circle of rooms"),
        ("simulation/lidar/noise.py", "from pcdet_poly.simulation.street.course import Street", "circle of rooms"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops.voxelize import voxelize", "back end"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops import voxelize", "back end"),
        ("ops/arrays/iou.py", "from pcdet_poly.ops.gpu.iou import pairwise_iou", "back end"),
        ("data/load/collate.py", "from pcdet_poly.ops.cpu import columns", "only ops/"),
        ("config/__main__.py", "from pcdet_poly.experiments.statistics import holm", "only calls a command"),
        ("config/__main__.py", "def helper():\n    pass", "defines something"),
        ("engine/run.py", "from pcdet_poly.commands.parser import build_parser", "floor"),
        ("experiments/figures.py", "from pcdet_poly.config import __main__", "__main__"),
        ("attic/old.py", "from pcdet_poly.engine import train", "floor"),
    ],
)
def test_the_checker_sees(sources: dict[str, str], file: str, planted: str, words: str) -> None:
    before = set(find_violations(sources))
    after = find_violations(sources | {file: f"{sources.get(file, '')}\n{planted}\n"})
    assert any(words in line for line in set(after) - before), set(after) - before


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; start = time.process_time(); import pcdet_poly, pcdet_poly.structures; "
        "seconds = time.process_time() - start; "
        "heavy = {'torch', 'numba', 'open3d', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; print(seconds)"
    )
    # The fastest of three: a busy machine delays a start, a heavy import delays every start.
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.5
